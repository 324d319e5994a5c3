"""An approved plan of retirement: delete its grants at Nylas, each after a fresh look, and never one more."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus, Observation
from lifecycle.brake import Braked, room_left
from lifecycle.retirement import stricter
from models import Grant, Outcome, Retirement, RetirementItem, RetirementStatus
from models.claims import close, postpone
from models.kinds import RETIREMENT_APPROVED
from nylas_api import GrantNotFound, NylasError
from tasks.brakes import BRAKED, counted_since, is_on, put_on
from tasks.claiming import Claim, each_alone, settle_error
from tasks.context import Context
from tasks.incidents import open_incidents
from tasks.looking import Look, look_at
from tasks.recording import Cause, record
from tasks.retirement_plans import finish_plans, of_json, ring_next, why_it_stays

BRAKED_FOR = timedelta(minutes=10)


@shared_task(name=RETIREMENT_APPROVED)
async def retire(ctx: Context, item_ids: Sequence[UUID]) -> None:
    """Delete the grants of an approved plan.

    A deletion can't be undone, so before it is sent we look whether the grant is still expired, and commit that it
    will be sent. A grant found in that state was worked on by somebody who did not live to tell: Nylas is read first.
    """
    await each_alone(ctx, RetirementItem, item_ids, _retire)
    await ring_next(ctx)
    await finish_plans(ctx)


async def _retire(claim: Claim[RetirementItem], item: RetirementItem) -> None:
    ctx = claim.ctx
    look = await look_at(ctx, item.grant_id)
    if isinstance(look, NylasError):
        return await _ask_later(claim, look)
    if not await _intend(claim, look):
        return None
    asked_at = ctx.now()
    if asked_at > look.observation.at + ctx.lease:  # we slept: the row may be another's, and the grant may work again
        return await _look_anew(claim)
    try:
        answer = await ctx.nylas.grants.delete(item.grant_id)
    except GrantNotFound as gone:
        return await _deleted(claim, item.grant_id, at=asked_at, request_id=gone.request_id)
    except NylasError as error:
        return await _ask_later(claim, error, in_vain=not error.outcome_unknown)
    return await _deleted(claim, item.grant_id, at=asked_at, request_id=answer.request_id)


async def _intend(claim: Claim[RetirementItem], look: Look) -> bool:
    """Judge the grant by the look, and commit that its deletion will be sent, if it may be; say whether it may."""
    ctx, now = claim.ctx, claim.ctx.now()
    async with claim.settling() as (session, items):
        for row in items:
            plan = await _lock_plans(session, ctx, row.retirement_id)
            await record(ctx, session, {look.grant_id: (look, Cause(RETIREMENT_APPROVED))})
            grant = await session.get_one(Grant, row.grant_id)
            if grant.status is GrantStatus.DELETED and row.sent_at:
                close(row, Outcome.DONE, now=now, reason="Nylas has it no more", request_id=look.request_id)
            elif reason := await _why_not(ctx, session, grant, plan, now=now):
                outcome = Outcome.CANCELLED if plan.status is RetirementStatus.CANCELLED else Outcome.SKIPPED
                close(row, outcome, now=now, reason=reason, request_id=look.request_id)
            elif row.sent_at is None and not await _there_is_room(ctx, session, now=now):
                await put_on(ctx, session, Braked.DELETIONS, now=now)
                postpone(row, until=now + BRAKED_FOR, reason=f"{BRAKED}: enough was deleted for an hour")
            else:
                row.sent_at = now
                return True
    return False


async def _lock_plans(session: AsyncSession, ctx: Context, plan_id: UUID) -> Retirement:
    """Read the plan, and lock all that are carried out: whoever counts deletions against the brake counts alone."""
    carried_out = (col(Retirement.status) == RetirementStatus.APPROVED) | (col(Retirement.id) == plan_id)
    ours = select(Retirement).where(col(Retirement.application_id) == ctx.application_id, carried_out)
    plans = await session.scalars(ours.order_by(col(Retirement.id)).with_for_update())
    return next(plan for plan in plans if plan.id == plan_id)


async def _why_not(ctx: Context, session: AsyncSession, grant: Grant, plan: Retirement, *, now: datetime) -> str | None:
    """Say why a grant is not deleted after all. What was agreed to counts, and what is set now."""
    if plan.status is not RetirementStatus.APPROVED:
        return f"the plan is {plan.status.value}"
    if grant.status in (GrantStatus.VALID, GrantStatus.SUSPECT):
        return "it works again"
    if ctx.policy.retirement is None:
        return "retirement is off: EVERGRANT_RETIRE_AFTER_DAYS is not set for the worker"
    policy = stricter(of_json(plan.policy), ctx.policy.retirement)
    return why_it_stays(grant, policy, await open_incidents(session, ctx), now=now)


async def _there_is_room(ctx: Context, session: AsyncSession, *, now: datetime) -> bool:
    """Tell whether one more may be sent: those that are under way count as if they were done.

    Both are counted at once: one that ends between two counts would be in neither.
    """
    if await is_on(session, ctx, Braked.DELETIONS):
        return False
    since = await counted_since(session, ctx, Braked.DELETIONS, now=now)
    done = (col(RetirementItem.outcome) == Outcome.DONE) & (col(RetirementItem.settled_at) > since)
    under_way = col(RetirementItem.sent_at).is_not(None) & col(RetirementItem.settled_at).is_(None)
    plans = select(col(Retirement.id)).where(col(Retirement.application_id) == ctx.application_id)
    spent = select(func.count()).where(col(RetirementItem.retirement_id).in_(plans), done | under_way)
    left = room_left(await session.scalar(spent) or 0, ctx.policy.limits.of(Braked.DELETIONS))
    return left is None or left > 0


async def _deleted(claim: Claim[RetirementItem], grant_id: str, *, at: datetime, request_id: str | None) -> None:
    ctx, now = claim.ctx, claim.ctx.now()
    gone = Look(grant_id, Observation.gone(at=at), None, request_id)
    async with claim.settling() as (session, items):
        for row in items:
            await record(ctx, session, {grant_id: (gone, Cause(RETIREMENT_APPROVED))})
            close(row, Outcome.DONE, now=now, reason="deleted at Nylas", request_id=request_id)


async def _ask_later(claim: Claim[RetirementItem], error: NylasError, *, in_vain: bool = False) -> None:
    """Write down what Nylas did not do; the intent is taken back only where sending it was surely in vain."""
    async with claim.settling() as (_session, items):
        for row in items:
            row.sent_at = None if in_vain else row.sent_at
            settle_error(claim.ctx, row, error)


async def _look_anew(claim: Claim[RetirementItem]) -> None:
    async with claim.settling() as (_session, items):
        for row in items:
            postpone(row, until=claim.ctx.now(), reason="too long after the look at it")
