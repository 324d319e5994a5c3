"""Silent webhooks: when a sync finds what Nylas should have told us of, what we know of that time is in doubt."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.incidents import Scope
from models import Application, Event, Grant, Incident, Outcome, Transition
from models.claims import close
from models.inbox import receive, told
from models.kinds import SYNC_REQUESTED, WEBHOOKS_DOUBTED
from tasks.claiming import Claim, claimed
from tasks.context import Context
from tasks.incidents import close_incident, open_incident, the_open
from tasks.watching import watch_on

LATE = timedelta(minutes=15)
"""What comes no later than this is not missed."""
LOOKS_BACK = timedelta(hours=3)
"""Each sync is judged within two of them."""
A_LITTLE_BEFORE = timedelta(hours=1)
"""What came so long before a sync found the change may still have told of it."""
BY_SYNC = (SYNC_REQUESTED, "sync")
NYLAS, SUBJECT = "nylas", "webhooks"


async def listen(ctx: Context, since: datetime) -> int:
    """Judge after a sync that began at `since`: open an incident if too much was missed; return how much that was.

    What was found just now may still be told of: if it is much, that is judged again when it would be late.
    """
    missed = await _judge(ctx)
    if missed:
        return missed
    now = ctx.now()
    async with ctx.database.writing() as session:
        fresh, _ = await _missed(ctx, session, col(Transition.at) >= since, now=now)
        if fresh <= ctx.policy.thresholds.handful:
            return 0
        again = told(
            WEBHOOKS_DOUBTED,
            f"webhooks:{since.isoformat()}",
            application_id=ctx.application_id,
            source="sync",
            now=now,
        )
        again.due_at = now + LATE
        await receive(session, [again])
    return 0


@shared_task(name=WEBHOOKS_DOUBTED)
async def listen_again(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """What a sync had found is late by now if Nylas has not told of it."""
    async with claimed(ctx, Event, event_ids) as claim:
        missed = await _judge(ctx) if claim.rows else 0
        async with claim.settling() as (_session, events):
            for event in events:
                close(event, Outcome.DONE, now=ctx.now(), reason=f"{missed} changes were not told of by webhooks")


async def watch_webhooks(claim: Claim[Incident], incident: Incident) -> None:
    """Close the incident when notifications come again."""
    ctx = claim.ctx
    # The ids of events sort by time, and there is an index of them: what came before the incident is not read.
    since = (col(Event.id) > incident.id) & (col(Event.received_at) > incident.opened_at)
    first = select(col(Event.received_at)).where(_from_nylas(ctx), since).order_by(col(Event.id)).limit(1)
    async with claim.settling() as (session, incidents):
        heard = await session.scalar(first)
        for row in incidents if heard else ():
            row.until = heard
            await close_incident(session, row, f"Nylas' notifications come again since {heard}", now=ctx.now())
    if not heard:
        await watch_on(claim, "no notification of Nylas' has come since")


async def _judge(ctx: Context) -> int:
    now = ctx.now()
    is_late = (col(Transition.at) <= now - LATE) | (
        col(Transition.old_status).is_(None) & (col(Grant.created_at) <= now - LATE)
    )
    async with ctx.database.writing() as session:
        missed, first_at = await _missed(ctx, session, is_late, now=now)
        if first_at is None or missed <= ctx.policy.thresholds.handful:
            return 0
        if is_open := await the_open(session, ctx, Scope.WEBHOOK, SUBJECT):
            is_open.until, is_open.grants = now, max(is_open.grants, missed)
            return missed
        since = min(await _last_heard(ctx, session) or first_at, first_at - A_LITTLE_BEFORE)
        what = (
            f"Nylas did not tell us of {missed} changes of grants that a sync has found: what it told between "
            f"{since:%Y-%m-%d %H:%M} and {now:%Y-%m-%d %H:%M} UTC is not all that happened. The grants are put right; "
            "see whether the webhook is there and active (evergrant doctor)"
        )
        await open_incident(ctx, session, Scope.WEBHOOK, SUBJECT, what, now=now, grants=missed, since=since, until=now)
    return missed


async def _missed(
    ctx: Context, session: AsyncSession, which: ColumnElement[bool], *, now: datetime
) -> tuple[int, datetime | None]:
    """Count the changes found by syncs that no notification of Nylas' told of, and say when the first was found."""
    begin = await _judged_until(ctx, session, now=now)
    old, new = col(Transition.old_status), col(Transition.new_status)
    alike = (GrantStatus.VALID, GrantStatus.SUSPECT)  # a grant that was in doubt and is well has not changed
    of_it = (
        (col(Event.grant_id) == col(Transition.grant_id))
        & (col(Event.source) == NYLAS)
        & (old.is_(None) | (col(Event.received_at) >= begin - A_LITTLE_BEFORE))
    )
    counted = (
        select(func.count(), func.min(col(Transition.at)))
        .join(Grant, col(Grant.id) == col(Transition.grant_id))
        .where(
            col(Grant.application_id) == ctx.application_id,
            col(Transition.cause).in_(BY_SYNC),
            col(Transition.at) > begin,
            old.is_(None) | ((old != new) & ~(old.in_(alike) & new.in_(alike))),
            which,
            ~exists().where(of_it),
        )
    )
    number, first_at = (await session.execute(counted)).one()
    return number, first_at


async def _judged_until(ctx: Context, session: AsyncSession, *, now: datetime) -> datetime:
    """Say from when on changes count: after the first import, and after what an earlier incident was about."""
    application = await session.get_one(Application, ctx.application_id)
    closed = select(func.max(col(Incident.settled_at))).where(
        col(Incident.application_id) == ctx.application_id, col(Incident.scope) == Scope.WEBHOOK
    )
    marks = (now - LOOKS_BACK, application.imported_at, await session.scalar(closed))
    return max(mark for mark in marks if mark)


async def _last_heard(ctx: Context, session: AsyncSession) -> datetime | None:
    """Say when Nylas told us anything last; the ids of events sort by time."""
    last = select(col(Event.received_at)).where(_from_nylas(ctx)).order_by(col(Event.id).desc()).limit(1)
    return await session.scalar(last)


def _from_nylas(ctx: Context) -> ColumnElement[bool]:
    return (col(Event.application_id) == ctx.application_id) & (col(Event.source) == NYLAS)
