"""The sweep: in every web and worker process, ring again for rows that are due and that nobody holds."""

import asyncio
from collections import defaultdict
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus, Event
from models.claims import Claimable, take_unrung
from models.kinds import EVENT_KINDS, REAUTH_REQUESTED, most_ids
from tasks.bulk_reauth import finish_if_done, nothing_left
from tasks.context import BULK_CHUNKS_AT_ONCE, Context

log = structlog.get_logger()

EVERY = 1.0
EVENTS_AT_ONCE = 1_000
ITEMS_AT_ONCE = BULK_CHUNKS_AT_ONCE * most_ids(REAUTH_REQUESTED)


async def sweep_for_ever(context: Context) -> None:
    """Sweep about once a second. A sweep that fails (the database is away) is only a sweep that comes later."""
    while True:
        try:
            await sweep(context)
        except Exception as error:
            log.warning("sweep.failed", error=type(error).__name__)
        await asyncio.sleep(EVERY * (0.75 + 0.5 * context.chance()))


async def sweep(context: Context) -> int:
    """Ring once for all that is due; return how many rows that was. It reads first: an idle sweep writes nothing."""
    return await _events(context) + await _items(context)


async def _events(context: Context) -> int:
    of_ours = col(Event.kind).in_(EVENT_KINDS)
    if not await _any_due(context, Event):
        return 0
    async with context.database.writing() as session:
        rows = await take_unrung(session, Event, of_ours, now=context.now(), most=EVENTS_AT_ONCE)
    by_kind: dict[str, list[UUID]] = defaultdict(list)
    for row in rows:
        if row.lease_until is None:
            by_kind[row.kind].append(row.id)
        else:
            # Its worker died with it. Alone, it takes no other row with it, if it was the cause.
            context.ring(row.kind, [row.id])
    for kind, ids in by_kind.items():
        context.ring(kind, ids)
    return len(rows)


async def _items(context: Context) -> int:
    rows: list[CampaignItem] = []
    if await _any_due(context, CampaignItem):
        async with context.database.writing() as session:
            rows = await take_unrung(session, CampaignItem, now=context.now(), most=ITEMS_AT_ONCE)
        context.ring(REAUTH_REQUESTED, [row.id for row in rows])
    async with context.database.reading() as session:
        done = select(col(Campaign.id)).where(col(Campaign.status) == CampaignStatus.RUNNING, nothing_left())
        campaigns = (await session.scalars(done)).all()
    for campaign_id in campaigns:
        if await finish_if_done(context, campaign_id):
            log.info("campaign.finished", campaign_id=str(campaign_id))
    return len(rows)


async def _any_due(context: Context, model: type[Claimable]) -> bool:
    async with context.database.reading() as session:
        due = select(col(model.id)).where(col(model.settled_at).is_(None), col(model.due_at) <= context.now()).limit(1)
        return (await session.execute(due)).first() is not None
