"""The sweep: in every web and worker process, ring again for rows that are due and that nobody holds."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, select
from sqlmodel import col

from models import Campaign, Event, Incident, Notice, RetirementItem
from models.cancellation import is_cancelled
from models.claims import Claimable
from models.kinds import INCIDENT_PROBE, NOTICE_DUE, RETIREMENT_APPROVED, most_ids
from models.rings import take_unrung
from tasks.campaigns.ending import finish_if_done, give_up
from tasks.campaigns.serving import ring_next
from tasks.context import BULK_CHUNKS_AT_ONCE, Context
from tasks.notices.ringing import may_be_told, ring_deliveries
from tasks.retirement_plans import finish_plans, of_application
from tasks.yielding import bulk_waits
from worker.due import Part, can_be_probed, due_now, has_ended, our_events, was_cancelled

log = structlog.get_logger()

EVERY = 1.0
EVENTS_AT_ONCE = 1_000
NOTICES_AT_ONCE = 1_000
INCIDENTS_AT_ONCE = 100
ITEMS_AT_ONCE = BULK_CHUNKS_AT_ONCE * most_ids(RETIREMENT_APPROVED)


async def sweep_for_ever(context: Context) -> None:
    """Sweep about once a second. A sweep that fails (the database is away) is only a sweep that comes later."""
    while True:
        try:
            await sweep(context)
        except Exception as error:
            if is_cancelled():
                raise asyncio.CancelledError from error
            log.warning("sweep.failed", error=type(error).__name__)
        await asyncio.sleep(EVERY * (0.75 + 0.5 * context.chance()))


async def sweep(context: Context) -> int:
    """Ring once for all that is due; return how many rows that was. It asks first: an idle sweep writes nothing."""
    due = await due_now(context)
    return sum([await ring(context) for part, ring in RINGS.items() if part in due])


async def _events(context: Context) -> int:
    rows = await _take(context, Event, our_events(context.application_id), most=EVENTS_AT_ONCE, also=(col(Event.kind),))
    by_kind: dict[str, list[SimpleNamespace]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    for kind, of_kind in by_kind.items():
        _ring(context, kind, of_kind)
    return len(rows)


async def _campaigns(context: Context) -> int:
    return await ring_next(context, chunks=BULK_CHUNKS_AT_ONCE)


async def _ended_campaigns(context: Context) -> int:
    """Nothing is rung for: what their last worker did not come to is done here."""
    async with context.database.reading() as session:
        finished = (await session.scalars(select(col(Campaign.id)).where(has_ended(context.application_id)))).all()
        cancelled = (await session.scalars(select(col(Campaign.id)).where(was_cancelled(context.application_id)))).all()
    for campaign_id in finished:
        if await finish_if_done(context, campaign_id):
            log.info("campaign.finished", campaign_id=str(campaign_id))
    for campaign_id in cancelled:
        await give_up(context, campaign_id)
    return 0


async def _retirements(context: Context) -> int:
    if await bulk_waits(context):
        return 0
    rows = await _take(context, RetirementItem, of_application(context.application_id), most=ITEMS_AT_ONCE)
    _ring(context, RETIREMENT_APPROVED, rows)
    return len(rows)


async def _ended_plans(context: Context) -> int:
    await finish_plans(context)
    return 0


async def _notices(context: Context) -> int:
    rows = await _take(context, Notice, may_be_told(context.application_id), most=NOTICES_AT_ONCE)
    _ring(context, NOTICE_DUE, rows)
    return len(rows)


async def _incidents(context: Context) -> int:
    rows = await _take(context, Incident, can_be_probed(context.application_id), most=INCIDENTS_AT_ONCE)
    _ring(context, INCIDENT_PROBE, rows)
    return len(rows)


RINGS: Mapping[Part, Callable[[Context], Awaitable[int]]] = {
    Part.EVENTS: _events,
    Part.CAMPAIGNS: _campaigns,
    Part.ENDED_CAMPAIGNS: _ended_campaigns,
    Part.RETIREMENTS: _retirements,
    Part.ENDED_PLANS: _ended_plans,
    Part.NOTICES: _notices,
    Part.DELIVERIES: ring_deliveries,
    Part.INCIDENTS: _incidents,
}


async def ring_for_telling(context: Context, deliveries: Collection[UUID] = ()) -> None:
    """Ring for the notices that are due, if any are, and where deliveries were written for those."""
    if deliveries:
        await ring_deliveries(context)
    if await due_now(context, (Part.NOTICES,)):
        await _notices(context)


async def _take(
    context: Context,
    model: type[Claimable],
    which: ColumnElement[bool],
    *,
    most: int,
    also: tuple[Any, ...] = (),
) -> Sequence[SimpleNamespace]:
    async with context.database.by_statement() as session:
        return await take_unrung(session, model, which, now=context.now(), most=most, also=also)


def _ring(context: Context, kind: str, rows: Sequence[SimpleNamespace]) -> None:
    """Ring for the rows together, but for each whose worker died by itself: if it was the cause, it takes no other."""
    together = [row.id for row in rows if row.lease_until is None]
    for ids in [together, *([row.id] for row in rows if row.lease_until is not None)]:
        if ids:
            context.ring(kind, ids)
