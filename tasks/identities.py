"""Whose account came back: compared with who was wanted, and kept apart from it if it is somebody else's."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.identity import Identity, mismatch
from models import AuthSession, AuthSessionStatus, EventData, GrantData, HeldBy, Notice, NoticeKind, Outcome
from models.auth_session import digest
from models.bulk import write_changes
from models.claims import close
from models.columns import new_id
from models.inbox import receive, told
from models.kinds import GRANT_IDENTITY_CHANGED
from nylas_api import NylasGrant
from tasks.context import Context
from tasks.looking import Look

log = structlog.get_logger()

UNDER_WAY = (AuthSessionStatus.RETURNED, AuthSessionStatus.EXCHANGING)


def of_grant(grant: GrantData) -> Identity:
    """Whose account a grant is, as far as we know."""
    return Identity(grant.id, grant.provider, grant.email, grant.provider_user_id)


def of_record(record: NylasGrant) -> Identity:
    """Whose account it is, as Nylas says."""
    return Identity(record.id, record.provider, record.email, record.provider_user_id)


def wanted_by(sign_in: AuthSession) -> Identity | None:
    """Whom a sign-in was for, as it was when the user set out; None where anybody was welcome."""
    if sign_in.wanted_grant_id is None:
        return None
    return Identity(sign_in.wanted_grant_id, sign_in.provider, sign_in.login_hint, sign_in.wanted_user_id)


def another_came(sign_in: AuthSession, look: Look) -> str | None:
    """Say in what the account that a sign-in brought is not the one that it was for."""
    wanted = wanted_by(sign_in)
    return mismatch(wanted, of_record(look.record)) if wanted and look.record else None


async def judge(
    ctx: Context,
    session: AsyncSession,
    looks: Iterable[Look],
    known: Mapping[str, GrantData],
    adopted: Collection[str],
    *,
    now: datetime,
) -> Mapping[str, str]:
    """Return which of the grants a sign-in for another account has brought, and why they are kept apart.

    Nylas' webhook may come before the sign-in's own answer: what came of a sign-in carries the state that we gave it.
    An identity that changed without a sign-in of ours is Nylas' own doing: it is taken over, and noted.
    """
    changed: dict[str, str] = {}
    brought: list[Look] = []
    for look in looks:
        grant = known.get(look.grant_id)
        if grant is None or look.record is None or grant.quarantined:
            continue
        if grant.id not in adopted and (look.observation.at < grant.as_of or grant.status is GrantStatus.DELETED):
            continue
        if grant.id not in adopted:
            if not (difference := mismatch(of_grant(grant), of_record(look.record))):
                continue
            changed[grant.id] = difference
        brought.append(look)
    apart = await _by_their_state(session, brought)
    await _note(ctx, session, {id: how for id, how in changed.items() if id not in apart}, now=now)
    return apart


async def keep_apart(session: AsyncSession, grant: GrantData, sign_in: AuthSession, reason: str) -> None:
    """Quarantine a grant: what is still to be told of it waits for a human. The grant must be locked.

    If it is the wanted one itself that came back as somebody else's, it stays known as whose it was.
    """
    grant.quarantined = reason
    wanted = wanted_by(sign_in)
    if wanted and wanted.grant_id == grant.id:
        grant.provider = wanted.provider
        grant.email = wanted.email or grant.email
        grant.provider_user_id = wanted.provider_user_id or grant.provider_user_id
    held = (
        update(Notice)
        .where(
            col(Notice.grant_id) == grant.id,
            col(Notice.kind) != NoticeKind.DELETED,
            col(Notice.settled_at).is_(None),
            col(Notice.held_by).is_(None),
        )
        .values(held_by=HeldBy.QUARANTINE, claim_token=None, lease_until=None)
    )
    await session.execute(held.execution_options(synchronize_session=False))
    await write_changes(session, [grant])
    log.warning("grant.quarantined", grant_id=grant.id, wanted=sign_in.wanted_grant_id, reason=reason)


async def _by_their_state(session: AsyncSession, looks: Iterable[Look]) -> dict[str, str]:
    by_state = {digest(look.record.state): look for look in looks if look.record and look.record.state}
    if not by_state:
        return {}
    wanted = select(AuthSession).where(
        col(AuthSession.state_hash).in_(by_state),
        col(AuthSession.wanted_grant_id).is_not(None),
        col(AuthSession.status).in_(UNDER_WAY),
    )
    apart: dict[str, str] = {}
    for sign_in in await session.scalars(wanted):
        look = by_state[sign_in.state_hash]
        if difference := another_came(sign_in, look):
            apart[look.grant_id] = in_words(sign_in, difference)
    return apart


def in_words(sign_in: AuthSession, difference: str) -> str:
    """Say what a sign-in was for, and in what the account that came is another one."""
    return f"it came of a sign-in for the grant {sign_in.wanted_grant_id}: {difference}"


async def _note(ctx: Context, session: AsyncSession, changed: Mapping[str, str], *, now: datetime) -> None:
    """Leave a trace of a change of identity: a row of the inbox that is settled already, and a line in the log."""
    notes: list[EventData] = []
    for grant_id, how in changed.items():
        note = told(
            GRANT_IDENTITY_CHANGED,
            f"identity:{new_id()}",
            application_id=ctx.application_id,
            source="evergrant",
            now=now,
            grant_id=grant_id,
        )
        close(note, Outcome.DONE, now=now, reason=f"{how}: taken over as Nylas has it")
        notes.append(note)
        log.warning("grant.identity_changed", grant_id=grant_id, how=how)
    await receive(session, notes)
