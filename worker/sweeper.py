"""The sweep: in every web and worker process, ring again for rows that are due and that nobody holds."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, select
from sqlmodel import col

from lifecycle.incidents import Scope
from models import Campaign, CampaignStatus, Event, Incident, Notice, RetirementItem
from models.cancellation import is_cancelled
from models.claims import Claimable, take_unrung, unrung
from models.kinds import EVENT_KINDS, INCIDENT_PROBE, NOTICE_DUE, RETIREMENT_APPROVED, most_ids
from tasks.campaigns.ending import finish_if_done, give_up, nothing_left
from tasks.campaigns.serving import any_ready, ring_next
from tasks.context import BULK_CHUNKS_AT_ONCE, Context
from tasks.notices.ringing import may_be_told, ring_deliveries
from tasks.retirement_plans import finish_plans, of_application
from tasks.yielding import bulk_waits

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
    """Ring once for all that is due; return how many rows that was. It reads first: an idle sweep writes nothing."""
    rows = await _events(context) + await _items(context) + await _retirements(context)
    return rows + await ring_notices(context) + await ring_deliveries(context) + await _incidents(context)


async def _events(context: Context) -> int:
    ours = (col(Event.application_id) == context.application_id) & col(Event.kind).in_(EVENT_KINDS)
    rows = await _forgotten(context, Event, ours, most=EVENTS_AT_ONCE, also=(col(Event.kind),))
    by_kind: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    for kind, of_kind in by_kind.items():
        _ring(context, kind, of_kind)
    return len(rows)


async def _items(context: Context) -> int:
    rung = await ring_next(context, chunks=BULK_CHUNKS_AT_ONCE) if await any_ready(context) else 0
    ours = select(col(Campaign.id)).where(col(Campaign.application_id) == context.application_id)
    async with context.database.reading() as session:
        done = ours.where(col(Campaign.status) == CampaignStatus.RUNNING, nothing_left())
        campaigns = (await session.scalars(done)).all()
        given_up = (col(Campaign.status) == CampaignStatus.CANCELLED) & col(Campaign.finished_at).is_(None)
        cancelled = (await session.scalars(ours.where(given_up))).all()
    for campaign_id in campaigns:
        if await finish_if_done(context, campaign_id):
            log.info("campaign.finished", campaign_id=str(campaign_id))
    for campaign_id in cancelled:
        await give_up(context, campaign_id)
    return rung


async def _retirements(context: Context) -> int:
    most = 0 if await bulk_waits(context) else ITEMS_AT_ONCE
    rows = await _forgotten(context, RetirementItem, of_application(context.application_id), most=most)
    _ring(context, RETIREMENT_APPROVED, rows)
    await finish_plans(context)
    return len(rows)


async def _incidents(context: Context) -> int:
    """Those that a probe can close; a brake waits for a human."""
    ours = (col(Incident.application_id) == context.application_id) & (col(Incident.scope) != Scope.BRAKE)
    rows = await _forgotten(context, Incident, ours, most=INCIDENTS_AT_ONCE)
    _ring(context, INCIDENT_PROBE, rows)
    return len(rows)


async def ring_notices(context: Context) -> int:
    """Ring for the notices that are due: in each sweep, and right after the work that wrote some, most likely."""
    rows = await _forgotten(context, Notice, may_be_told(context), most=NOTICES_AT_ONCE)
    _ring(context, NOTICE_DUE, rows)
    return len(rows)


async def _forgotten(
    context: Context,
    model: type[Claimable],
    which: ColumnElement[bool],
    *,
    most: int,
    also: Sequence[Any] = (),
) -> list[Row[Any]]:
    """Take what is due, if anything is. The order leads to the index of what is due, however much is planned."""
    now = context.now()
    async with context.database.reading() as session:
        any_row = select(col(model.id)).where(unrung(model, now), which).order_by(col(model.due_at)).limit(1)
        if (await session.execute(any_row)).first() is None:
            return []
    async with context.database.writing() as session:
        return await take_unrung(session, model, which, now=now, most=most, also=also)


def _ring(context: Context, kind: str, rows: Sequence[Row[Any]]) -> None:
    """Ring for the rows together, but for each whose worker died by itself: if it was the cause, it takes no other."""
    together = [row.id for row in rows if row.lease_until is None]
    for ids in [together, *([row.id] for row in rows if row.lease_until is not None)]:
        if ids:
            context.ring(kind, ids)
