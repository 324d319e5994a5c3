"""The brake: what happens more often in an hour than is normal is stopped, until a human lets it go on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.brake import WINDOW, Braked, room_left
from lifecycle.incidents import Scope
from models import (
    Claimable,
    Event,
    Grant,
    GrantData,
    HeldBy,
    Incident,
    Notice,
    Outcome,
    Retirement,
    RetirementItem,
    Transition,
)
from tasks.context import Context
from tasks.incidents import close_incident, open_incident, open_incidents, the_open

BRAKED = "the brake is on"
"""How the reason of work begins that waits for a release."""


async def is_on(session: AsyncSession, ctx: Context, kind: Braked) -> Incident | None:
    """Return the open incident of a brake that is on."""
    return next((one for one in await open_incidents(session, ctx, Scope.BRAKE) if one.subject == kind.value), None)


async def room(session: AsyncSession, ctx: Context, kind: Braked, *, now: datetime) -> int | None:
    """Say how much more of a kind of work may be done now: none while its brake is on, None where there is no limit.

    What was done before the brake was released last does not count.
    """
    limit = ctx.policy.limits.of(kind)
    if limit == 0:
        return None
    if await is_on(session, ctx, kind):
        return 0
    return room_left(await done(session, ctx, kind, now=now), limit)


async def done(session: AsyncSession, ctx: Context, kind: Braked, *, now: datetime) -> int:
    """Count how much of a kind of work was done within the hour, and since the brake was released last."""
    return await _done(session, ctx, kind, await counted_since(session, ctx, kind, now=now))


async def counted_since(session: AsyncSession, ctx: Context, kind: Braked, *, now: datetime) -> datetime:
    """Say since when work of this kind counts."""
    return max(now - WINDOW, await _released(session, ctx, kind) or now - WINDOW)


async def room_for(many: int, session: AsyncSession, ctx: Context, kind: Braked, *, now: datetime) -> int | None:
    """Say the same, for so many that are at hand: while little was done that is not counted anew each time."""
    spare, limit = ctx.spare[kind], ctx.policy.limits.of(kind)
    if spare.take(many, limit=limit, now=now) and not await is_on(session, ctx, kind):
        return many
    left = await room(session, ctx, kind, now=now)
    if left is not None and left >= many:
        spare.found(left - many, limit=limit, now=now)
    return left


async def braked_flips(ctx: Context, session: AsyncSession, flips: Sequence[GrantData]) -> frozenset[str]:
    """Return which of the grants may not be written as expired now; puts the brake on where they are too many."""
    if not flips:
        return frozenset()
    now = ctx.now()
    left = await room_for(len(flips), session, ctx, Braked.FLIPS, now=now)
    if left is None or len(flips) <= left:
        return frozenset()
    await put_on(ctx, session, Braked.FLIPS, now=now)
    return frozenset(grant.id for grant in flips[left:])


async def put_on(ctx: Context, session: AsyncSession, kind: Braked, *, now: datetime) -> None:
    """Put the brake on a kind of work: an incident that only a human closes (`evergrant brake release`)."""
    what = f"more than {ctx.policy.limits.of(kind)} {kind.value} within an hour: no more until the brake is released"
    await open_incident(ctx, session, Scope.BRAKE, kind.value, what, now=now)


async def release(ctx: Context, session: AsyncSession, kind: Braked, reason: str, *, now: datetime) -> bool:
    """Take the brake off: what waits for it goes on at once. Return whether it was on."""
    incident = await the_open(session, ctx, Scope.BRAKE, kind.value)
    if incident is None:
        return False
    for model, condition, values in _waiting(ctx, kind, now):
        await session.execute(
            update(model).where(condition).values(values).execution_options(synchronize_session=False)
        )
    await close_incident(session, incident, reason, now=now)
    return True


async def waiting(session: AsyncSession, ctx: Context, kind: Braked, *, now: datetime) -> int:
    """Count what waits for a release."""
    counts = [select(func.count()).select_from(model).where(which) for model, which, _ in _waiting(ctx, kind, now)]
    return sum([await session.scalar(count) or 0 for count in counts])


def _waiting(
    ctx: Context, kind: Braked, now: datetime
) -> Sequence[tuple[type[Claimable], ColumnElement[bool], Mapping[str, Any]]]:
    """What waits for a release, and what becomes of it then."""
    due = {"due_at": now, "rung_at": None}
    match kind:
        case Braked.FLIPS:
            ours = (col(Event.application_id) == ctx.application_id) & col(Event.settled_at).is_(None)
            return [(Event, ours & col(Event.reason).startswith(BRAKED), due)]
        case Braked.NOTICES:
            held = (col(Notice.application_id) == ctx.application_id) & col(Notice.settled_at).is_(None)
            return [(Notice, held & (col(Notice.held_by) == HeldBy.BRAKE), {"held_by": None, "rung_at": None})]
        case Braked.DELETIONS:
            plans = select(col(Retirement.id)).where(col(Retirement.application_id) == ctx.application_id)
            items = col(RetirementItem.retirement_id).in_(plans) & col(RetirementItem.settled_at).is_(None)
            return [(RetirementItem, items & col(RetirementItem.reason).startswith(BRAKED), due)]


async def _released(session: AsyncSession, ctx: Context, kind: Braked) -> datetime | None:
    wanted = select(func.max(col(Incident.settled_at))).where(
        col(Incident.application_id) == ctx.application_id,
        col(Incident.scope) == Scope.BRAKE,
        col(Incident.subject) == kind.value,
    )
    return await session.scalar(wanted)


async def _done(session: AsyncSession, ctx: Context, kind: Braked, since: datetime) -> int:
    match kind:
        case Braked.FLIPS:
            alive = (GrantStatus.VALID, GrantStatus.SUSPECT)  # who had expired before we knew them did not flip
            counted = (
                select(func.count())
                .select_from(Transition)
                .join(Grant, col(Grant.id) == col(Transition.grant_id))
                .where(
                    col(Grant.application_id) == ctx.application_id,
                    col(Transition.at) > since,
                    col(Transition.old_status).in_(alive),
                    col(Transition.new_status) == GrantStatus.EXPIRED,
                )
            )
        case Braked.NOTICES:
            counted = select(func.count()).where(
                col(Notice.application_id) == ctx.application_id,
                col(Notice.settled_at) > since,
                col(Notice.outcome) == Outcome.DONE,
                col(Notice.grant_id).is_not(None),  # what only the operator is told is not held
            )
        case Braked.DELETIONS:
            counted = (
                select(func.count())
                .select_from(RetirementItem)
                .join(Retirement, col(Retirement.id) == col(RetirementItem.retirement_id))
                .where(
                    col(Retirement.application_id) == ctx.application_id,
                    col(RetirementItem.settled_at) > since,
                    col(RetirementItem.outcome) == Outcome.DONE,
                )
            )
    return await session.scalar(counted) or 0
