"""Campaigns are paused, resumed, cancelled and tried again; each only from where that makes sense."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus
from models.among import among
from tasks.campaigns.ending import FAILED, give_up
from tasks.campaigns.serving import ring_next
from tasks.context import BULK_CHUNKS_AT_ONCE, Context

MAY = {
    "pause": (CampaignStatus.RUNNING,),
    "resume": (CampaignStatus.PAUSED, CampaignStatus.STOPPED),
    "cancel": (CampaignStatus.PLANNED, CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.STOPPED),
    "retry": (CampaignStatus.FINISHED, CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.STOPPED),
}
ITEMS_A_TRANSACTION = 5_000


class NotNow(ValueError):
    """The campaign is not where this can be done; the text says where it is."""


async def pause(ctx: Context, campaign_id: UUID, *, actor: str) -> Campaign:
    """Stop calling for it: what is under way ends, and nothing else is sent. Raises NotNow."""
    values = {"status": CampaignStatus.PAUSED, "reason": f"paused by {actor}"}
    return await _move(ctx, campaign_id, "pause", values)


async def resume(ctx: Context, campaign_id: UUID, *, actor: str) -> Campaign:
    """Let it go on where it stood; one that stopped itself has no rule to stop it any more. Raises NotNow."""
    async with ctx.database.reading() as session:
        before = await session.get(Campaign, campaign_id)
    values: dict[str, object] = {"status": CampaignStatus.RUNNING, "reason": f"resumed by {actor}"}
    if before and before.status is CampaignStatus.STOPPED:
        values = {"max_failures": None, **values, "reason": f"resumed by {actor}, whatever fails: {before.reason}"}
    campaign = await _move(ctx, campaign_id, "resume", values)
    await ring_next(ctx, chunks=BULK_CHUNKS_AT_ONCE, campaign_id=campaign_id)
    return campaign


async def cancel(ctx: Context, campaign_id: UUID, *, actor: str) -> Campaign:
    """Give up what is left; what is under way ends as it does. Raises NotNow."""
    values = {"status": CampaignStatus.CANCELLED, "reason": f"cancelled by {actor}"}
    campaign = await _move(ctx, campaign_id, "cancel", values)
    left = -1
    while (now_left := await _open_items(ctx, campaign_id)) not in (0, left):
        left = now_left
        await give_up(ctx, campaign_id)
    await give_up(ctx, campaign_id)
    return campaign


async def retry(ctx: Context, campaign_id: UUID, *, actor: str) -> int:
    """Try again what failed, and nothing else; return how many items that are. Raises NotNow.

    It runs as soon as the first of them are open: if we die before the last, none of those is left lying. A grant that
    is open in another campaign meanwhile is left to that.
    """
    await _move(ctx, campaign_id, "retry", {})
    other = aliased(CampaignItem)
    elsewhere = exists().where(col(other.grant_id) == col(CampaignItem.grant_id), col(other.settled_at).is_(None))
    until_now = col(CampaignItem.outcome).in_(FAILED) & (col(CampaignItem.settled_at) <= ctx.now())
    failed = (col(CampaignItem.campaign_id) == campaign_id) & until_now & ~elsewhere
    again = {
        "settled_at": None,
        "outcome": None,
        "cause": None,
        "attempts": 0,
        "crashes": 0,
        "rung_at": None,
    }
    runs = (
        update(Campaign)
        .where(col(Campaign.id) == campaign_id, col(Campaign.status).in_(MAY["retry"]))
        .values(status=CampaignStatus.RUNNING, finished_at=None)
    )
    number = 0
    while True:
        now = ctx.now()
        async with ctx.database.writing() as session:
            part = select(col(CampaignItem.id)).where(failed).order_by(col(CampaignItem.id)).limit(ITEMS_A_TRANSACTION)
            ids = (await session.scalars(part)).all()
            opened = update(CampaignItem).where(among(col(CampaignItem.id), ids)).values(again | {"due_at": now})
            await session.execute(opened.execution_options(synchronize_session=False))
            if ids and not number:
                await session.execute(runs.execution_options(synchronize_session=False))
        number += len(ids)
        if not ids:
            break
    if number:
        await _move(ctx, campaign_id, "retry", {"reason": f"{number} tried again by {actor}"})
        await ring_next(ctx, chunks=BULK_CHUNKS_AT_ONCE, campaign_id=campaign_id)
    return number


async def _move(ctx: Context, campaign_id: UUID, what: str, values: Mapping[str, object]) -> Campaign:
    async with ctx.database.writing() as session:
        wanted = select(Campaign).where(
            col(Campaign.id) == campaign_id, col(Campaign.application_id) == ctx.application_id
        )
        campaign = (await session.scalars(wanted.with_for_update())).one_or_none()
        if campaign is None:
            raise NotNow(f"there is no campaign {campaign_id}")
        if campaign.status not in MAY[what]:
            raise NotNow(f"it is {campaign.status.value}: there is nothing to {what}")
        for name, value in values.items():
            setattr(campaign, name, value)
    return campaign


async def _open_items(ctx: Context, campaign_id: UUID) -> int:
    still = (col(CampaignItem.campaign_id) == campaign_id) & col(CampaignItem.settled_at).is_(None)
    async with ctx.database.reading() as session:
        return await session.scalar(select(func.count()).where(still)) or 0
