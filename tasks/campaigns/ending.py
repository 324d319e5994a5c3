"""How a campaign ends: by itself when no item is left, by its own rule at too many failures, or when it is given up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle.campaigning import StopRule
from models import Campaign, CampaignItem, CampaignStatus, Outcome
from models.among import among
from tasks.context import Context
from tasks.telling import tell_of_campaign

FAILED = (Outcome.FAILED, Outcome.SET_ASIDE)
GIVEN_UP_AT_ONCE = FORGOTTEN_AT_ONCE = 5_000
SECRETS_ARE_KEPT = timedelta(days=7)
"""So long may what failed be tried again with what its list said."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the items of a campaign ended so far."""

    ended: dict[Outcome, int]

    @property
    def failed(self) -> int:
        """Those that failed, or were set aside."""
        return sum(self.ended.get(outcome, 0) for outcome in FAILED)

    @property
    def tried(self) -> int:
        """Those that were done or failed: what was skipped says nothing of how it goes."""
        return self.failed + self.ended.get(Outcome.DONE, 0)

    @property
    def number(self) -> int:
        """All that ended, whatever the end."""
        return sum(self.ended.values())


async def tally(session: AsyncSession, campaign_id: UUID) -> Tally:
    """Count the items that ended, by how they did."""
    counted = (
        select(col(CampaignItem.outcome), func.count())
        .where(col(CampaignItem.campaign_id) == campaign_id, col(CampaignItem.outcome).is_not(None))
        .group_by(col(CampaignItem.outcome))
    )
    return Tally({outcome: number for outcome, number in (await session.execute(counted)).all() if outcome})


def nothing_left() -> ColumnElement[bool]:
    """In SQL: the campaign has no item that is still open."""
    return ~exists().where(col(CampaignItem.campaign_id) == col(Campaign.id), col(CampaignItem.settled_at).is_(None))


async def finish_if_done(ctx: Context, campaign_id: UUID) -> bool:
    """Close the campaign if no item is left, and tell of it; say whether that happened now.

    In a transaction of its own, after the items': of two workers that settle the last items at the same time, each
    would still see the other's as open.
    """
    closing = (
        update(Campaign)
        .where(col(Campaign.id) == campaign_id, col(Campaign.status) == CampaignStatus.RUNNING, nothing_left())
        .values(status=CampaignStatus.FINISHED, finished_at=ctx.now())
        .returning(col(Campaign.id))
    )
    async with ctx.database.writing() as session:
        if (await session.execute(closing)).first() is None:
            return False
        await tell_of_campaign(ctx, session, campaign_id, now=ctx.now())
        return True


async def stop_if_too_many_failed(ctx: Context, campaign_id: UUID) -> bool:
    """Stop a campaign that runs by its own rule; say whether that happened now."""
    async with ctx.database.reading() as session:
        campaign = await session.get(Campaign, campaign_id)
        if campaign is None or campaign.max_failures is None or campaign.status is not CampaignStatus.RUNNING:
            return False
        counted = await tally(session, campaign_id)
    if not StopRule.parse(campaign.max_failures).is_broken(counted.failed, counted.tried):
        return False
    reason = f"{counted.failed} of {counted.tried} failed: more than {campaign.max_failures}"
    stopping = (
        update(Campaign)
        .where(col(Campaign.id) == campaign_id, col(Campaign.status) == CampaignStatus.RUNNING)
        .values(status=CampaignStatus.STOPPED, reason=reason)
        .returning(col(Campaign.id))
    )
    async with ctx.database.writing() as session:
        return (await session.execute(stopping)).first() is not None


async def give_up(ctx: Context, campaign_id: UUID) -> bool:
    """End the next of the open items of a cancelled campaign that nobody holds; say whether none is left."""
    now = ctx.now()
    free = or_(col(CampaignItem.lease_until).is_(None), col(CampaignItem.lease_until) < now)
    async with ctx.database.writing() as session:
        is_open = (col(CampaignItem.campaign_id) == campaign_id) & col(CampaignItem.settled_at).is_(None)
        part = select(col(CampaignItem.id)).where(is_open, free).order_by(col(CampaignItem.id))
        ids = (await session.scalars(part.limit(GIVEN_UP_AT_ONCE).with_for_update())).all()
        over = update(CampaignItem).where(among(col(CampaignItem.id), ids)).values(given_up(now))
        await session.execute(over.execution_options(synchronize_session=False))
        left = await session.scalar(select(func.count()).where(is_open)) or 0
        if not left:
            ended = update(Campaign).where(
                col(Campaign.id) == campaign_id,
                col(Campaign.status) == CampaignStatus.CANCELLED,
                col(Campaign.finished_at).is_(None),
            )
            closed = await session.execute(ended.values(finished_at=now).returning(col(Campaign.id)))
            if closed.first() is not None:
                await tell_of_campaign(ctx, session, campaign_id, now=now)
    return not left


def given_up(now: datetime) -> dict[str, object]:
    """The end of an item whose campaign was cancelled."""
    return {
        "settled_at": now,
        "outcome": Outcome.CANCELLED,
        "reason": "the campaign was cancelled",
        "secret": None,
        "claim_token": None,
        "lease_until": None,
    }


async def forget_secrets(ctx: Context) -> None:
    """Wipe what the items of lists brought along, once it is too late to try them again."""
    old = col(CampaignItem.secret).is_not(None) & (col(CampaignItem.settled_at) < ctx.now() - SECRETS_ARE_KEPT)
    async with ctx.database.reading() as session:
        if (await session.execute(select(col(CampaignItem.id)).where(old).limit(1))).first() is None:
            return
    some = select(col(CampaignItem.id)).where(old).limit(FORGOTTEN_AT_ONCE)
    wiping = update(CampaignItem).where(col(CampaignItem.id).in_(some)).values(secret=None)
    wiped = wiping.returning(col(CampaignItem.id)).execution_options(synchronize_session=False)
    left = True
    while left:
        async with ctx.database.writing() as session:
            left = len((await session.execute(wiped)).all()) == FORGOTTEN_AT_ONCE
