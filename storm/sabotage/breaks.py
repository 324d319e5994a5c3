"""What is broken, and how: functions of the product, each with what takes its place."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlmodel import col

from lifecycle import Observation
from models import AuthSession, AuthSessionStatus, CampaignItemData, Delivery, Endpoint, Event, GrantData, Outcome
from models.among import among_given
from nylas_api import NylasError
from storm.sabotage.replacing import Change, replace
from tasks.claiming import Claim
from tasks.context import Context
from tasks.looking import Look
from tasks.notices.sending import Attempt, Matter

log = structlog.get_logger()

Break = Mapping[str, Change]
"""The functions that are replaced, by their names."""


def _rings_nobody(ring: Any) -> Any:
    def rings_nobody(self: Any, kind: str, ids: Sequence[UUID]) -> None:
        """Nobody hears of the rows."""

    return rings_nobody


def _sweeps_nothing(sweep: Any) -> Any:
    async def sweeps_nothing(context: Context) -> int:
        return 0

    return sweeps_nothing


Begin = Callable[[Claim[Event], Event], Awaitable[AuthSession | None]]


def _is_done_before_the_exchange(begin: Begin) -> Begin:
    async def is_done_first(claim: Claim[Event], event: Event) -> AuthSession | None:
        sign_in = await begin(claim, event)
        if sign_in and sign_in.code:
            done = {"status": AuthSessionStatus.DONE, "ended_at": claim.ctx.now(), "code": None, "code_verifier": None}
            async with claim.ctx.database.writing() as session:
                this = col(AuthSession.id) == sign_in.id
                await session.execute(sa.update(AuthSession).where(this).values(done))
        return sign_in

    return is_done_first


def _sends_before_it_says_so(begin: Begin) -> Begin:
    async def sends_first(claim: Claim[Event], event: Event) -> AuthSession | None:
        sign_in = await begin(claim, event)
        if sign_in and sign_in.code:
            async with claim.ctx.database.writing() as session:
                this = col(AuthSession.id) == sign_in.id
                unsaid = {"status": AuthSessionStatus.RETURNED, "exchange_started_at": None}
                await session.execute(sa.update(AuthSession).where(this).values(unsaid))
        return sign_in

    return sends_first


Sends = Callable[[Context, Matter, Endpoint], Awaitable[Attempt]]


def _is_delivered_before_it_is_sent(attempt: Sends) -> Sends:
    async def settles_first(ctx: Context, matter: Matter, endpoint: Endpoint) -> Attempt:
        done = {"settled_at": ctx.now(), "outcome": Outcome.DONE, "claim_token": None, "lease_until": None}
        async with ctx.database.writing() as session:
            this = (col(Delivery.notice_id) == matter.notice.id) & (col(Delivery.endpoint_id) == endpoint.id)
            await session.execute(sa.update(Delivery).where(this).values(done))
        return await attempt(ctx, matter, endpoint)

    return settles_first


def _is_free_whoever_holds_it(open_at: Any) -> Any:
    def is_free(model: Any, now: Any) -> sa.ColumnElement[bool]:
        return sa.and_(col(model.settled_at).is_(None), col(model.due_at) <= now)

    return is_free


def _is_ours_whatever_its_token(ours: Any) -> Any:
    def are_all_ours(model: Any) -> tuple[sa.ColumnElement[bool], ...]:
        any_token = sa.bindparam("given_token", type_=sa.Uuid()).is_not(None)
        return among_given(col(model.id), "given_ids"), any_token

    return are_all_ours


def _takes_silence_for_success(renew_item: Any) -> Any:
    async def takes_silence_for_success(
        ctx: Context, item: CampaignItemData, grant: GrantData | None, connectors: Any, kept: Any
    ) -> Any:
        result = await renew_item(ctx, item, grant, connectors, kept)
        valid = Observation.of(is_valid=True, blocked=False, at=ctx.now())
        if isinstance(result, NylasError) and result.outcome_unknown and grant and valid:
            return Look(grant.id, valid, None, None)
        return result

    return takes_silence_for_success


def _waits_for_nothing(wait_after: Any) -> Any:
    def waits_for_nothing(self: Context, error: NylasError, attempts: int) -> Any:
        return self.backoff(attempts) if error.under_way else wait_after(self, error, attempts)

    return waits_for_nothing


def _logs_the_code(exchange_code: Any) -> Any:
    async def logs_the_code(self: Any, *, code: str, redirect_uri: str, code_verifier: str | None = None) -> Any:
        log.info("exchange.begins", code=code)
        return await exchange_code(self, code=code, redirect_uri=redirect_uri, code_verifier=code_verifier)

    return logs_the_code


BREAKS: Mapping[str, Break] = {
    "nobody rings, and nobody sweeps": {
        "worker.doorbell:Doorbell.ring": _rings_nobody,
        "worker.sweeper:sweep": _sweeps_nothing,
    },
    "a sign-in is done before its code is exchanged": {"tasks.oauth_callback:_begin": _is_done_before_the_exchange},
    "a code is sent before it is committed that it will be": {"tasks.oauth_callback:_begin": _sends_before_it_says_so},
    "a notice is delivered before it is sent": {"tasks.notices.delivering:attempt": _is_delivered_before_it_is_sent},
    "the claim token is ignored": {
        "models.claims:open_at": _is_free_whoever_holds_it,
        "models.claims:_ours": _is_ours_whatever_its_token,
    },
    "a timeout is a success": {"tasks.campaigns.working:renew_item": _takes_silence_for_success},
    "what was not answered in time is asked for again at once": {
        "tasks.context:Context.wait_after": _waits_for_nothing
    },
    "a code is logged": {"nylas_api.auth:Auth.exchange_code": _logs_the_code},
}


def break_by(sabotage: str) -> None:
    """Break this process."""
    for target, change in BREAKS[sabotage].items():
        replace(target, change)
