"""Which campaign is served next, and how much of it at a time: in turns among those that run, at each one's pace."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from types import SimpleNamespace
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus
from models.claims import open_at
from models.kinds import REAUTH_REQUESTED, most_ids
from models.rings import NOW, RUNG_BEFORE, moment, take_unrung
from tasks.context import BULK_CHUNKS_AT_ONCE, Context
from tasks.yielding import bulk_waits

CHUNK = most_ids(REAUTH_REQUESTED)
RUNG_FOR = BULK_CHUNKS_AT_ONCE * CHUNK
"""So many items of a campaign may be rung for before anybody takes them: no more lie in the queue for dead workers."""
OF_CAMPAIGN = col(CampaignItem.campaign_id) == bindparam("given_campaign")
IN_ORDER = (col(CampaignItem.rank), col(CampaignItem.id))
CATCHES_UP = timedelta(seconds=2)
LONGEST_WAIT = 2.0


async def ring_next(ctx: Context, *, chunks: int = 1, campaign_id: UUID | None = None) -> int:
    """Ring for the next chunks of the campaigns that run (or of one), who waits longest first; return the items.

    One whose worker died goes by itself: if it was the cause, it takes no other with it. While too much waits that
    somebody waits for, none is rung for.
    """
    rung = 0
    if await bulk_waits(ctx):
        return rung
    for _ in range(chunks):
        async with ctx.database.writing() as session:
            items = await _next_chunk(session, ctx, campaign_id)
        if not items:
            break
        together = [item.id for item in items if item.lease_until is None]
        for ids in [together, *([item.id] for item in items if item.lease_until is not None)]:
            if ids:
                ctx.ring(REAUTH_REQUESTED, ids)
        rung += len(items)
    return rung


async def next_turn_in(ctx: Context) -> float | None:
    """Say in how many seconds the pace of a campaign lets it go on, if that is soon."""
    now = ctx.now()
    waits = select(func.min(col(Campaign.paced_until))).where(
        col(Campaign.application_id) == ctx.application_id,
        col(Campaign.status) == CampaignStatus.RUNNING,
        col(Campaign.paced_until) > now,
    )
    async with ctx.database.reading() as session:
        until = await session.scalar(waits)
    return min((until - now).total_seconds(), LONGEST_WAIT) if until else None


@lru_cache(64)
def ready(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: the campaign runs, its pace lets it go on, and it has something to be rung for.

    Only its first items that are free are looked at, however many it has. `models.rings.moment` says when that is.
    """
    free = select(col(CampaignItem.rung_at)).where(
        col(CampaignItem.campaign_id) == col(Campaign.id), open_at(CampaignItem, NOW)
    )
    first = free.order_by(*IN_ORDER).limit(RUNG_FOR).correlate(Campaign).subquery()
    return (
        (col(Campaign.application_id) == application_id)
        & (col(Campaign.status) == CampaignStatus.RUNNING)
        & (col(Campaign.paced_until).is_(None) | (col(Campaign.paced_until) <= NOW))
        & exists(select(first).where(or_(first.c.rung_at.is_(None), first.c.rung_at < RUNG_BEFORE)))
    )


@lru_cache(64)
def _served_next(application_id: UUID, *, one: bool) -> Select[Campaign]:
    """Made once: see models.bulk."""
    which = ready(application_id)
    if one:
        which &= col(Campaign.id) == bindparam("given_campaign")
    longest_ago = select(Campaign).where(which).order_by(col(Campaign.served_at).nulls_first(), col(Campaign.id))
    return longest_ago.limit(1).with_for_update(skip_locked=True)


async def _next_chunk(session: AsyncSession, ctx: Context, campaign_id: UUID | None) -> Sequence[SimpleNamespace]:
    now = ctx.now()
    wanted = _served_next(ctx.application_id, one=campaign_id is not None)
    campaign = (await session.scalars(wanted, moment(now) | {"given_campaign": campaign_id})).one_or_none()
    if campaign is None:
        return []
    items = await take_unrung(
        session,
        CampaignItem,
        OF_CAMPAIGN,
        now=now,
        most=chunk_at(campaign.rate),
        order=IN_ORDER,
        given={"given_campaign": campaign.id},
    )
    served = {"served_at": now, "paced_until": paced(campaign, len(items), now)}
    await session.execute(
        update(Campaign)
        .where(col(Campaign.id) == campaign.id)
        .values(served)
        .execution_options(synchronize_session=False)
    )
    return items


def chunk_at(rate: float | None) -> int:
    """Say how many items go together: a second's worth, where a campaign has a pace of its own."""
    return CHUNK if rate is None else max(1, min(CHUNK, ceil(rate)))


def paced(campaign: Campaign, items: int, now: datetime) -> datetime | None:
    """Say when the next chunk may go, so that in the long run no more than `rate` items a second do."""
    if campaign.rate is None:
        return None
    begins = max(campaign.paced_until or now, now - CATCHES_UP)
    return begins + timedelta(seconds=items / campaign.rate)
