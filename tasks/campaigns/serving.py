"""Which campaign is served next, and how much of it at a time: in turns among those that run, at each one's pace."""

from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus
from models.claims import take_unrung, unrung
from models.kinds import REAUTH_REQUESTED, most_ids
from tasks.context import Context
from tasks.yielding import bulk_waits

CHUNK = most_ids(REAUTH_REQUESTED)
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


def ready(ctx: Context, now: datetime) -> ColumnElement[bool]:
    """In SQL: the campaign runs, its pace lets it go on, and it has something to be rung for."""
    has_work = select(col(CampaignItem.id)).where(
        col(CampaignItem.campaign_id) == col(Campaign.id), unrung(CampaignItem, now)
    )
    return (
        (col(Campaign.application_id) == ctx.application_id)
        & (col(Campaign.status) == CampaignStatus.RUNNING)
        & (col(Campaign.paced_until).is_(None) | (col(Campaign.paced_until) <= now))
        & has_work.exists()
    )


async def _next_chunk(session: AsyncSession, ctx: Context, campaign_id: UUID | None) -> list[Row[Any]]:
    now = ctx.now()
    which = ready(ctx, now)
    if campaign_id:
        which &= col(Campaign.id) == campaign_id
    longest_ago = select(Campaign).where(which).order_by(col(Campaign.served_at).nulls_first(), col(Campaign.id))
    campaign = (await session.scalars(longest_ago.limit(1).with_for_update(skip_locked=True))).one_or_none()
    if campaign is None:
        return []
    items = await take_unrung(
        session,
        CampaignItem,
        col(CampaignItem.campaign_id) == campaign.id,
        now=now,
        most=chunk_at(campaign.rate),
        order=(col(CampaignItem.rank), col(CampaignItem.id)),
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
