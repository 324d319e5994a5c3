"""The following of campaigns while a chunk is worked on: each may be paused, cancelled, or have to stop itself."""

import asyncio
from collections.abc import Collection
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignStatus
from models.cancellation import is_cancelled
from tasks.campaigns.ending import stop_if_too_many_failed
from tasks.context import Context

log = structlog.get_logger()

EVERY = 0.5
"""Seconds between two looks: a pause takes effect within two seconds."""


class Following:
    """Reads again and again where the campaigns of a chunk are, and stops those whose own rule says so."""

    def __init__(self, ctx: Context, campaigns: Collection[Campaign]) -> None:
        """Begin with what was just read of them."""
        self._ctx = ctx
        self._status = {campaign.id: campaign.status for campaign in campaigns}

    def runs(self, campaign_id: UUID) -> bool:
        """Say whether calls for it are wanted."""
        return self._status.get(campaign_id) is CampaignStatus.RUNNING

    def status(self, campaign_id: UUID) -> CampaignStatus | None:
        """Say where it was when we looked last."""
        return self._status.get(campaign_id)

    async def follow(self) -> None:
        """Look, until cancelled. A look that fails is only one that comes later."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                for campaign_id in self._status:
                    await stop_if_too_many_failed(self._ctx, campaign_id)
                await self.look()
            except Exception as error:
                if is_cancelled():
                    return
                log.warning("campaign.not_followed", error=type(error).__name__)

    async def look(self) -> None:
        """Read where they are now."""
        wanted = select(col(Campaign.id), col(Campaign.status)).where(col(Campaign.id).in_(list(self._status)))
        async with self._ctx.database.reading() as session:
            self._status |= {row[0]: row[1] for row in await session.execute(wanted)}
