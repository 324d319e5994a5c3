"""Plans of retirement: which dead grants an admin may agree to delete, and how far a plan has come."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.retirement import RetirementPolicy, why_not
from models import Grant, Incident, Outcome, Retirement, RetirementItem, RetirementStatus
from models.columns import new_id
from models.kinds import RETIREMENT_APPROVED, most_ids
from models.rings import take_unrung
from tasks.context import BULK_CHUNKS_AT_ONCE, Context
from tasks.incidents import covering, open_incidents

GRANTS_A_PAGE = 5_000
NOT_BEFORE_APPROVAL = datetime(9999, 1, 1, tzinfo=UTC)
"""When an item of a plan that nobody has agreed to is due."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A new plan (None: no grant may go), and why expired grants stay, each reason with how many."""

    plan: Retirement | None
    staying: Mapping[str, int]


async def make_plan(ctx: Context, policy: RetirementPolicy) -> Planned:
    """Write down which grants may go. Nothing happens to them before the plan is approved."""
    now, going, staying = ctx.now(), list[str](), Counter[str]()
    async with ctx.database.reading() as session:
        incidents = await open_incidents(session, ctx)
        after = ""
        while grants := await _expired(session, ctx, after):
            for grant in grants:
                if reason := why_it_stays(grant, policy, incidents, now=now):
                    staying[reason] += 1
                else:
                    going.append(grant.id)
            after = grants[-1].id
            session.expunge_all()
    if not going:
        return Planned(None, staying)
    plan = Retirement(
        id=new_id(),
        application_id=ctx.application_id,
        status=RetirementStatus.PLANNED,
        policy=as_json(policy),
        total=len(going),
        created_at=now,
    )
    items = [
        RetirementItem(retirement_id=plan.id, grant_id=grant_id, due_at=NOT_BEFORE_APPROVAL).model_dump()
        for grant_id in going
    ]
    async with ctx.database.writing() as session:
        session.add(plan)
        await session.flush()
        for start in range(0, len(items), GRANTS_A_PAGE):
            await session.execute(insert(RetirementItem), items[start : start + GRANTS_A_PAGE])
    return Planned(plan, staying)


def why_it_stays(grant: Grant, policy: RetirementPolicy, incidents: Sequence[Incident], *, now: datetime) -> str | None:
    """Say why a grant is not to be deleted, given the incidents that are open; None if it may go."""
    reason = why_not(
        policy,
        grant_id=grant.id,
        email=grant.email,
        status=grant.status,
        confirmed_at=grant.confirmed_at,
        now=now,
    )
    if reason is None and covering(incidents, grant):
        return "an open incident explains why it expired"
    return reason


async def approve(ctx: Context, plan_id: UUID, *, by: str) -> bool:
    """Let a plan be carried out; False if it is not waiting for that (any more)."""
    now = ctx.now()
    approving = (
        update(Retirement)
        .where(col(Retirement.id) == plan_id, col(Retirement.status) == RetirementStatus.PLANNED)
        .values(status=RetirementStatus.APPROVED, approved_at=now, approved_by=by)
        .returning(col(Retirement.id))
    )
    async with ctx.database.writing() as session:
        if (await session.execute(approving)).first() is None:
            return False
        await session.execute(update(RetirementItem).where(_open_of(plan_id)).values(due_at=now))
    await ring_next(ctx)
    return True


async def cancel(ctx: Context, plan_id: UUID) -> int | None:
    """Drop a plan, and what of it was not sent yet: return how many grants that were; None if it has ended already.

    A deletion that is under way is not called back: whether it happened is still found out and written down.
    """
    now = ctx.now()
    dropping = (
        update(RetirementItem)
        .where(_open_of(plan_id), col(RetirementItem.sent_at).is_(None))
        .values(
            settled_at=now,
            outcome=Outcome.CANCELLED,
            reason="the plan was cancelled",
            claim_token=None,
            lease_until=None,
        )
        .returning(col(RetirementItem.id))
    )
    ending = (
        update(Retirement)
        .where(
            col(Retirement.id) == plan_id,
            col(Retirement.status).in_((RetirementStatus.PLANNED, RetirementStatus.APPROVED)),
        )
        .values(status=RetirementStatus.CANCELLED, finished_at=now)
        .returning(col(Retirement.id))
    )
    async with ctx.database.writing() as session:
        # The items before the plan, as the task locks them.
        dropped = (await session.execute(dropping)).all()
        ended = (await session.execute(ending)).first()
    return len(dropped) if ended else None


async def ring_next(ctx: Context) -> None:
    """Ring for the next grants to delete that are due and that nobody was told of lately."""
    size = most_ids(RETIREMENT_APPROVED)
    async with ctx.database.by_statement() as session:
        ours = of_application(ctx.application_id)
        items = await take_unrung(session, RetirementItem, ours, now=ctx.now(), most=size * BULK_CHUNKS_AT_ONCE)
    ids = [item.id for item in items]
    for start in range(0, len(ids), size):
        ctx.ring(RETIREMENT_APPROVED, ids[start : start + size])


@lru_cache(64)
def of_application(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: the item is one of a plan of this application."""
    plans = select(col(Retirement.id)).where(col(Retirement.application_id) == application_id)
    return col(RetirementItem.retirement_id).in_(plans)


@lru_cache(64)
def carried_out(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: the plan of this application was approved, and none of its items is open any more."""
    left = exists().where(
        col(RetirementItem.retirement_id) == col(Retirement.id), col(RetirementItem.settled_at).is_(None)
    )
    approved = col(Retirement.status) == RetirementStatus.APPROVED
    return (col(Retirement.application_id) == application_id) & approved & ~left


async def finish_plans(ctx: Context) -> int:
    """Close the plans of which nothing is left to do; return how many."""
    closing = (
        update(Retirement)
        .where(carried_out(ctx.application_id))
        .values(status=RetirementStatus.FINISHED, finished_at=ctx.now())
        .returning(col(Retirement.id))
    )
    async with ctx.database.writing() as session:
        return len((await session.execute(closing)).all())


async def ended_by_outcome(session: AsyncSession, plan_id: UUID) -> dict[Outcome, int]:
    """Count the items of a plan that have ended, by how."""
    counted = (
        select(col(RetirementItem.outcome), func.count())
        .where(col(RetirementItem.retirement_id) == plan_id, col(RetirementItem.settled_at).is_not(None))
        .group_by(col(RetirementItem.outcome))
    )
    return {outcome: number for outcome, number in (await session.execute(counted)).all() if outcome}


def as_json(policy: RetirementPolicy) -> dict[str, object]:
    """Write a policy as it stands in the row of its plan."""
    return {"after_days": policy.after.days, "never": sorted(policy.never)}


def of_json(told: Mapping[str, object]) -> RetirementPolicy:
    """Read a policy from the row of its plan."""
    days, never = told.get("after_days"), told.get("never")
    assert isinstance(days, int)
    assert isinstance(never, list)
    return RetirementPolicy(timedelta(days=days), frozenset(never))


def _open_of(plan_id: UUID) -> ColumnElement[bool]:
    return (col(RetirementItem.retirement_id) == plan_id) & col(RetirementItem.settled_at).is_(None)


async def _expired(session: AsyncSession, ctx: Context, after: str) -> list[Grant]:
    expired = select(Grant).where(
        col(Grant.application_id) == ctx.application_id,
        col(Grant.status) == GrantStatus.EXPIRED,
        col(Grant.id) > after,
    )
    return list((await session.scalars(expired.order_by(col(Grant.id)).limit(GRANTS_A_PAGE))).all())
