"""How far a campaign is: counted from its rows, with its pace and the time that is left."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus, Outcome, Way
from tasks.campaigns.asking import ASKED
from tasks.campaigns.ending import FAILED, tally

LATELY = timedelta(minutes=1)
CAUSES_SHOWN = 20
STILL = frozenset({CampaignStatus.PLANNED, CampaignStatus.RUNNING})
"""It goes on by itself."""
OVER = frozenset({CampaignStatus.FINISHED, CampaignStatus.CANCELLED, CampaignStatus.REFUSED})


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a campaign is: its items by outcome, and those whose users were asked and are waited for."""

    status: CampaignStatus
    reason: str | None
    total: int
    ended: Mapping[Outcome, int]
    waiting: int = 0

    @property
    def done(self) -> int:
        """How many items have ended, whatever the end."""
        return sum(self.ended.values())

    @property
    def failed(self) -> int:
        """How many of them failed, or were set aside."""
        return sum(self.ended.get(outcome, 0) for outcome in FAILED)

    @property
    def left(self) -> int:
        """How many are still to be worked on, but for those that only their users can end."""
        return max(self.total - self.done - self.waiting, 0)

    @property
    def only_waits(self) -> bool:
        """It runs, and nothing is left of it but users who were asked to sign in."""
        return self.status is CampaignStatus.RUNNING and self.waiting > 0 and not self.left

    def in_words(self) -> str:
        """`500 of 500: 498 done, 2 failed`."""
        counts = [f"{count} {outcome.value}" for outcome, count in sorted(self.ended.items())]
        if self.waiting:
            counts.append(f"{self.waiting} wait for their users")
        return f"{self.done} of {self.total}" + (f": {', '.join(counts)}" if counts else "")


async def standing(session: AsyncSession, campaign: Campaign) -> Standing:
    """Count how far the campaign is."""
    waiting = 0
    if campaign.ask_users:
        asked = select(func.count()).where(
            col(CampaignItem.campaign_id) == campaign.id,
            col(CampaignItem.settled_at).is_(None),
            col(CampaignItem.way) == Way.HOSTED,
            col(CampaignItem.cause) == ASKED,
        )
        waiting = await session.scalar(asked) or 0
    counted = await tally(session, campaign.id)
    return Standing(campaign.status, campaign.reason, campaign.total, counted.ended, waiting)


async def pace_of(session: AsyncSession, campaign: Campaign, *, now: datetime) -> float:
    """Say how many items a second ended during the last minute, or since it started if that is less."""
    if campaign.started_at is None:
        return 0.0
    since = max(campaign.started_at, now - LATELY)
    ended = select(func.count()).where(
        col(CampaignItem.campaign_id) == campaign.id,
        col(CampaignItem.settled_at) > since,
        col(CampaignItem.outcome).in_([Outcome.DONE, *FAILED]),
    )
    return (await session.scalar(ended) or 0) / max((now - since).total_seconds(), 1.0)


def seconds_left(campaign: Standing, pace: float) -> float | None:
    """Say how long the rest takes at this pace; None where nothing can be said."""
    if campaign.status is not CampaignStatus.RUNNING or not pace:
        return None
    return campaign.left / pace


@dataclass(slots=True)
class Pace:
    """How many items a second end, seen by looks one after the other."""

    _looks: deque[tuple[datetime, int]] = field(default_factory=deque)

    def of(self, done: int, now: datetime) -> float:
        """Take in a look; return the pace over the last minute of them."""
        self._looks.append((now, done))
        while self._looks[0][0] < now - LATELY:
            self._looks.popleft()
        first_at, first = self._looks[0]
        passed = (now - first_at).total_seconds()
        return max(done - first, 0) / passed if passed else 0.0


@dataclass(frozen=True, slots=True)
class Failing:
    """What failed for one cause: how many items, and one of Nylas' request ids to ask about."""

    cause: str
    items: int
    request_id: str | None

    def flat(self) -> dict[str, Any]:
        """As a flat object."""
        return {"cause": self.cause, "items": self.items, "request_id": self.request_id}


async def causes(session: AsyncSession, campaign: Campaign, *outcomes: Outcome) -> list[Failing]:
    """Group what ended so (unless it is said otherwise: what failed) by its cause, the most frequent first."""
    why = func.coalesce(col(CampaignItem.cause), col(CampaignItem.reason), "unknown").label("why")
    number = func.count().label("number")
    grouped = (
        select(why, number, func.min(col(CampaignItem.request_id)))
        .where(col(CampaignItem.campaign_id) == campaign.id, col(CampaignItem.outcome).in_(outcomes or FAILED))
        .group_by("why")
        .order_by(number.desc(), "why")
        .limit(CAUSES_SHOWN)
    )
    return [Failing(*row) for row in await session.execute(grouped)]


def whom(campaign: Campaign) -> dict[str, Any]:
    """Return whom a campaign is for: its filter; of names, and of a list, only that it was by those."""
    if "grants" in campaign.filter:
        return {"grants": len(campaign.filter["grants"])}
    return campaign.filter
