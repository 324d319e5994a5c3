"""What the API tells of campaigns, their items, and what one would do."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from ingress.campaign_progress import Failing, Standing, seconds_left, whom
from models import Campaign, CampaignItem, CampaignStatus, Grant, Outcome, Way
from tasks.campaigns.preview import Preview


class PreviewShape(BaseModel):
    """What a campaign would do, as things stand now."""

    matching: int = Field(description="How many grants it would be for.")
    ways: dict[Way, int] = Field(description="How many of them go by which way.")
    skipped: dict[str, int] = Field(description="How many nothing can be done for, by the reason.")
    calls: int = Field(description="How many calls to Nylas that takes.")
    seconds: float | None = Field(description="How long those take at the budget, or its own rate; null: no limit.")

    @classmethod
    def of(cls, planned: Preview, *, budget: float, rate: float | None) -> Self:
        """Tell of a plan."""
        return cls(
            matching=planned.matching,
            ways=dict(planned.ways),
            skipped=dict(planned.skipped),
            calls=planned.calls,
            seconds=planned.seconds(budget=budget, rate=rate),
        )


class CampaignShape(BaseModel):
    """A bulk re-authentication."""

    campaign_id: UUID
    status: CampaignStatus
    reason: str | None = Field(description="Why it is paused, stopped, cancelled or refused.")
    filter: dict[str, Any] = Field(description="Whom it is for; of names, and of a list, only how many, or that.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    source: str = Field(description="Where it was asked for: `cli`, `api`, `task`, `schedule`, …")
    actor: str | None = Field(description="Who asked for it.")
    rate: float | None = Field(description="Calls a second, below the budget.")
    max_failures: str | None
    ask_users: bool
    idempotency_key: str | None
    schedule_id: UUID | None
    total: int = Field(description="How many items it has; 0 until they are written.")
    outcomes: dict[Outcome, int] = Field(description="How many of them have ended, by how they did.")

    @classmethod
    def of(cls, campaign: Campaign, ended: Mapping[Outcome, int]) -> Self:
        """Tell of a row."""
        return cls.model_validate(told(campaign) | {"outcomes": dict(ended)})


class FailingShape(BaseModel):
    """What failed for one cause."""

    cause: str
    items: int
    request_id: str | None = Field(description="One of Nylas' request ids, to ask about.")


class ProgressShape(BaseModel):
    """How far a campaign is."""

    campaign_id: UUID
    status: CampaignStatus
    reason: str | None
    total: int
    ended: int
    outcomes: dict[Outcome, int]
    waiting_for_users: int = Field(description="Asked to sign in, and not back yet.")
    left: int = Field(description="Still to be worked on, but for those.")
    a_second: float = Field(description="How many items ended a second, during the last minute.")
    seconds_left: float | None = Field(description="How long the rest takes at this pace; null: nothing can be said.")

    @classmethod
    def of(cls, campaign_id: UUID, standing: Standing, pace: float) -> Self:
        """Tell how far it is."""
        left = seconds_left(standing, pace)
        return cls(
            campaign_id=campaign_id,
            status=standing.status,
            reason=standing.reason,
            total=standing.total,
            ended=standing.done,
            outcomes=dict(standing.ended),
            waiting_for_users=standing.waiting,
            left=standing.left,
            a_second=round(pace, 2),
            seconds_left=None if left is None else round(left, 1),
        )


class WholeCampaign(CampaignShape):
    """A campaign with how far it is, and what failed, by cause."""

    progress: ProgressShape
    failures: list[FailingShape]

    @classmethod
    def with_all(cls, campaign: Campaign, standing: Standing, *, pace: float, failures: Sequence[Failing]) -> Self:
        """Tell all of a row."""
        more = {
            "outcomes": dict(standing.ended),
            "progress": ProgressShape.of(campaign.id, standing, pace),
            "failures": [failing.flat() for failing in failures],
        }
        return cls.model_validate(told(campaign) | more)


class ItemShape(BaseModel):
    """One mailbox in a campaign."""

    item_id: UUID
    line: int | None = Field(description="Its line in the list, or its place among the names, that were given.")
    grant_id: str | None
    email: str | None
    provider: str | None
    way: Way | None
    outcome: Outcome | None = Field(description="Null while it is to be worked on.")
    cause: str | None = Field(description="What failures are counted by.")
    reason: str | None
    request_id: str | None = Field(description="Nylas' request id.")
    attempts: int
    due_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, item: CampaignItem, grant: Grant | None) -> Self:
        """Tell of a row; nothing of what it is authenticated by."""
        names = cls.model_fields.keys() - {"item_id", "email", "provider"}
        email, provider = (grant.email, grant.provider) if grant else (item.email, item.provider)
        return cls(item_id=item.id, email=email, provider=provider, **{name: getattr(item, name) for name in names})


def told(campaign: Campaign) -> dict[str, Any]:
    """What a row tells by itself."""
    names = CampaignShape.model_fields.keys() - {"campaign_id", "filter", "outcomes"}
    return {name: getattr(campaign, name) for name in names} | {"campaign_id": campaign.id, "filter": whom(campaign)}
