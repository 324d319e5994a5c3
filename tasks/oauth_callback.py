"""A user came back from the consent screen: exchange the code, once, and record the grant."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from sqlalchemy.ext.asyncio import AsyncSession

from models import AuthSession, AuthSessionStatus, Event, Outcome
from models.auth_session import ANOTHER_ACCOUNT, digest
from models.claims import close, postpone
from models.kinds import OAUTH_RETURNED
from models.sealing import Unsealable
from nylas_api import NylasError, NylasGrant, tells_of_another_account
from tasks.arrivals import came_as_another, came_back
from tasks.claiming import Claim, each_alone, settle_error
from tasks.context import STILL_AT_WORK, Context
from tasks.identities import another_came, in_words
from tasks.looking import Look, look_at
from tasks.recording import Cause

# How far Nylas' clock may be off ours.
CLOCKS_APART = timedelta(minutes=1)


@shared_task(name=OAUTH_RETURNED)
async def exchange_codes(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """Exchange each returned code for a grant.

    A code works once, so before it is sent we commit that it will be. A session found in that state was tried by
    somebody who didn't live to tell: then Nylas is asked which grant came of it, and the code is never sent again.
    """
    await each_alone(ctx, Event, event_ids, _finish_sign_in)


async def _finish_sign_in(claim: Claim[Event], event: Event) -> None:
    ctx = claim.ctx
    sign_in = await _begin(claim, event)
    if sign_in is None:
        return None
    if sign_in.grant_id:
        found: str | NylasError | None = sign_in.grant_id
    elif sign_in.code:
        found = await _exchange(claim, sign_in)
    else:
        found = await _find(ctx, sign_in)
    if isinstance(found, str):
        look = await look_at(ctx, found)
        if isinstance(look, Look) and look.record is None:
            return await _fail(claim, sign_in, "Nylas deleted the grant right after the sign-in")
        if isinstance(look, Look):
            return await _succeed(claim, sign_in, look)
        found = look
    if found is None:
        lost = "the answer to the code exchange was lost, and Nylas shows no grant that came of it"
        return await _fail(claim, sign_in, lost)
    if ctx.wait_after(found, event.attempts) is None:
        another = tells_of_another_account(found.type, str(found))
        refused = f"{ANOTHER_ACCOUNT}: {found}" if another else f"Nylas refused: {found}"
        return await _fail(claim, sign_in, refused, request_id=found.request_id)
    return await _ask_later(claim, found)


async def _begin(claim: Claim[Event], event: Event) -> AuthSession | None:
    """Commit that the code will be sent. The session returned holds the code only if sending it is ours to do."""
    now = claim.ctx.now()
    async with claim.settling() as (session, events):
        if not events:
            return None
        sign_in = await _lock(session, _session_id(event))
        match sign_in:
            case None:
                close(events[0], Outcome.SET_ASIDE, now=now, reason="there is no such sign-in")
            case AuthSession(status=AuthSessionStatus.RETURNED):
                sign_in.status, sign_in.exchange_started_at = AuthSessionStatus.EXCHANGING, now
                await session.flush()
                session.expunge(sign_in)
                return sign_in
            case AuthSession(status=AuthSessionStatus.EXCHANGING, exchange_started_at=began) if began:
                session.expunge(sign_in)
                if not sign_in.grant_id and now < began + STILL_AT_WORK:
                    postpone(events[0], until=began + STILL_AT_WORK, reason="an exchange may still be under way")
                    return None
                sign_in.code = None
                return sign_in
            case _:
                close(events[0], Outcome.IGNORED, now=now, reason=f"the sign-in is {sign_in.status} already")
    return None


async def _exchange(claim: Claim[Event], sign_in: AuthSession) -> str | NylasError:
    """Send the code; keep the grant's id at once, or take the intent back if the code surely never reached Nylas."""
    ctx = claim.ctx
    try:
        code = ctx.keys.reveal(sign_in, "code")
        verifier = ctx.keys.reveal(sign_in, "code_verifier")
    except Unsealable as error:
        await _fail(claim, sign_in, str(error))
        raise
    try:
        answer = await ctx.nylas.auth.exchange_code(
            code=code, redirect_uri=sign_in.redirect_uri, code_verifier=verifier
        )
    except NylasError as error:
        if not error.outcome_unknown and ctx.wait_after(error, 1):
            await _amend(claim, sign_in, status=AuthSessionStatus.RETURNED, grant_id=None)
        return error
    await _amend(claim, sign_in, status=AuthSessionStatus.EXCHANGING, grant_id=answer.data.grant_id)
    return answer.data.grant_id


async def _find(ctx: Context, sign_in: AuthSession) -> str | NylasError | None:
    """Read which grant came of an exchange whose answer was lost: it carries our state, or works and has the address.

    One that does not work has only its address in common with an exchange, which would have made it work.
    """
    began = sign_in.exchange_started_at
    assert began is not None

    def came_of_it(grant: NylasGrant) -> bool:
        moved = grant.updated_at or grant.created_at
        if moved < began - CLOCKS_APART:
            return False
        if grant.state and digest(grant.state) == sign_in.state_hash:
            return True
        hint, email = sign_in.login_hint, grant.email
        return bool(grant.is_valid and hint and email and hint.casefold() == email.casefold())

    try:
        async for page in ctx.nylas.grants.each_page(sort_by="updated_at", order_by="desc"):
            for grant in page.data:
                if came_of_it(grant):
                    return grant.id
            if page.data and (page.data[-1].updated_at or page.data[-1].created_at) < began - CLOCKS_APART:
                break
    except NylasError as error:
        return error
    return None


async def _succeed(claim: Claim[Event], sign_in: AuthSession, look: Look) -> None:
    """Record what came of it, and end the sign-in: done, or in quarantine if it is not the account that was wanted."""
    ctx, now = claim.ctx, claim.ctx.now()
    difference = another_came(sign_in, look)
    async with claim.settling() as (session, events):
        for event in events:
            event.grant_id = look.grant_id
            cause = Cause(event.kind, event_id=event.id)
            if difference:
                reason = in_words(sign_in, difference)
                await came_as_another(ctx, session, sign_in, look, cause, reason)
                await _end(session, sign_in, AuthSessionStatus.QUARANTINED, now=now, reason=reason)
            else:
                reason = await came_back(ctx, session, look, cause, now=now)
                await _end(session, sign_in, AuthSessionStatus.DONE, now=now, grant_id=look.grant_id)
            close(event, Outcome.DONE, now=now, reason=reason, request_id=look.request_id)


async def _fail(claim: Claim[Event], sign_in: AuthSession, reason: str, request_id: str | None = None) -> None:
    now = claim.ctx.now()
    async with claim.settling() as (session, events):
        for event in events:
            told = f"{reason}; the user must sign in again"
            await _end(session, sign_in, AuthSessionStatus.FAILED, now=now, reason=told)
            close(event, Outcome.FAILED, now=now, reason=told, request_id=request_id)


async def _ask_later(claim: Claim[Event], error: NylasError) -> None:
    async with claim.settling() as (_session, events):
        for event in events:
            settle_error(claim.ctx, event, error)
            if error.outcome_unknown and event.settled_at is None:
                event.due_at = max(event.due_at, claim.ctx.now() + STILL_AT_WORK)


async def _amend(claim: Claim[Event], sign_in: AuthSession, *, status: AuthSessionStatus, grant_id: str | None) -> None:
    async with claim.settling() as (session, events):
        if events and (row := await _lock(session, sign_in.id)):
            row.status, row.grant_id = status, grant_id


async def _end(
    session: AsyncSession,
    sign_in: AuthSession,
    status: AuthSessionStatus,
    *,
    now: datetime,
    grant_id: str | None = None,
    reason: str | None = None,
) -> None:
    row = await _lock(session, sign_in.id)
    if row:
        row.status, row.ended_at, row.reason = status, now, reason
        row.grant_id = grant_id or row.grant_id
        row.code = row.code_verifier = None


async def _lock(session: AsyncSession, session_id: UUID) -> AuthSession | None:
    return await session.get(AuthSession, session_id, with_for_update=True, populate_existing=True)


def _session_id(event: Event) -> UUID:
    return UUID(json.loads(event.raw)["auth_session"])
