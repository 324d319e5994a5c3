"""The brake: what happens more often in an hour than is normal is stopped, until a human lets it go on."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.brake import WINDOW, Braked, room_left
from lifecycle.incidents import Scope
from models import Grant, Incident, Notice, NoticeKind, Outcome, RetirementItem, Transition
from tasks.context import Context
from tasks.incidents import open_incident


async def is_on(session: AsyncSession, ctx: Context, kind: Braked) -> Incident | None:
    """Return the open incident of a brake that is on."""
    wanted = select(Incident).where(
        col(Incident.application_id) == ctx.application_id,
        col(Incident.scope) == Scope.BRAKE,
        col(Incident.subject) == kind.value,
        col(Incident.settled_at).is_(None),
    )
    return (await session.scalars(wanted)).one_or_none()


async def room(session: AsyncSession, ctx: Context, kind: Braked, *, now: datetime) -> int | None:
    """Say how much more of a kind of work may be done now: none while its brake is on, None where there is no limit.

    What was done before the brake was released last does not count.
    """
    limit = ctx.policy.limits.of(kind)
    if limit == 0:
        return None
    if await is_on(session, ctx, kind):
        return 0
    since = max(now - WINDOW, await _released(session, ctx, kind) or now - WINDOW)
    return room_left(await _done(session, ctx, kind, since), limit)


async def braked_flips(ctx: Context, session: AsyncSession, flips: Sequence[Grant]) -> frozenset[str]:
    """Return which of the grants may not be written as expired now; puts the brake on where they are too many."""
    if not flips:
        return frozenset()
    now = ctx.now()
    left = await room(session, ctx, Braked.FLIPS, now=now)
    if left is None or len(flips) <= left:
        return frozenset()
    await put_on(ctx, session, Braked.FLIPS, now=now)
    return frozenset(grant.id for grant in flips)


async def put_on(ctx: Context, session: AsyncSession, kind: Braked, *, now: datetime) -> None:
    """Put the brake on a kind of work: an incident that only a human closes (`evergrant brake release`)."""
    what = f"more than {ctx.policy.limits.of(kind)} {kind.value} within an hour: no more until the brake is released"
    await open_incident(ctx, session, Scope.BRAKE, kind.value, what, now=now)


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
            counted = select(func.count()).where(
                col(Transition.at) > since, col(Transition.new_status) == GrantStatus.EXPIRED
            )
        case Braked.NOTICES:
            counted = select(func.count()).where(
                col(Notice.settled_at) > since,
                col(Notice.outcome) == Outcome.DONE,
                col(Notice.kind) != NoticeKind.INCIDENT_OPENED,
            )
        case Braked.DELETIONS:
            counted = select(func.count()).where(
                col(RetirementItem.settled_at) > since, col(RetirementItem.outcome) == Outcome.DONE
            )
    return await session.scalar(counted) or 0
