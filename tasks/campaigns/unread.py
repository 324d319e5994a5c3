"""Campaigns whose list was not read to its end: nobody starts them, and until they are given up they hold grants."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus, Event
from tasks.campaigns.planning import key_of
from tasks.campaigns.steering import NotNow, cancel
from tasks.context import Context

PATIENCE = timedelta(hours=1)
"""So long may a list that is read bring no line: it can come from a program that thinks."""


async def give_up_unread(ctx: Context) -> None:
    """Cancel the campaigns whose command died while it read their list."""
    for campaign_id in await _unread(ctx):
        try:
            await give_up_list(ctx, campaign_id)
        except NotNow:  # it has started, or was cancelled, just now
            continue


async def give_up_list(ctx: Context, campaign_id: UUID) -> None:
    """Let go of the grants of a list that was not read to its end. Raises NotNow."""
    await cancel(ctx, campaign_id, actor="Evergrant: its list was not read to the end")


async def _unread(ctx: Context) -> list[UUID]:
    before = ctx.now() - PATIENCE
    planned = select(Campaign).where(
        col(Campaign.application_id) == ctx.application_id,
        col(Campaign.status) == CampaignStatus.PLANNED,
        col(Campaign.created_at) < before,
    )
    async with ctx.database.reading() as session:
        listed = [one for one in await session.scalars(planned) if "list" in one.filter]
        return [one.id for one in listed if not await _is_read(session, one.id, later_than=before)]


async def _is_read(session: AsyncSession, campaign_id: UUID, *, later_than: datetime) -> bool:
    """Whether it was asked for, or has got a line since: its last one is found by its number."""
    asked_for = select(exists().where(col(Event.key) == key_of(campaign_id)))
    last = select(col(CampaignItem.due_at)).where(col(CampaignItem.campaign_id) == campaign_id)
    if await session.scalar(asked_for):
        return True
    written_at = await session.scalar(last.order_by(col(CampaignItem.line).desc()).limit(1))
    return written_at is not None and written_at >= later_than
