"""The commands that show campaigns, one or many."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.campaign_progress import Failing, Standing, causes, pace_of, seconds_left, standing, whom
from ingress.terminal import fail, out, put_json, put_table
from models import Campaign, CampaignItem, CampaignStatus, Outcome
from tasks.campaigns.ending import FAILED
from worker.runtime import Runtime

FEWEST_CHARACTERS = 8
NAMED_AT_MOST = 5


async def list_campaigns(runtime: Runtime, *, status: CampaignStatus | None, limit: int, as_json: bool) -> None:
    """Print campaigns, the newest first."""
    wanted = select(Campaign).where(col(Campaign.application_id) == runtime.application.id)
    if status:
        wanted = wanted.where(col(Campaign.status) == status)
    async with runtime.context.database.reading() as session:
        found = (await session.scalars(wanted.order_by(col(Campaign.id).desc()).limit(limit))).all()
        ended = await ended_of(session, [campaign.id for campaign in found])
    rows = [flat(campaign, ended[campaign.id]) for campaign in found]
    if as_json:
        put_json(rows)
        return
    columns = ("campaign_id", "status", "created_at", "total", "ended", "failed", "actor", "filter", "reason")
    shown = [row | {"created_at": campaign.created_at} for row, campaign in zip(rows, found, strict=True)]
    put_table(None, columns, [[_cell(row[column]) for column in columns] for row in shown])


async def show_campaign(runtime: Runtime, name: str, *, as_json: bool) -> None:
    """Print one campaign: how far it is, how fast it goes, and what failed, by cause."""
    ctx = runtime.context
    campaign = await find_campaign(runtime, name)
    async with ctx.database.reading() as session:
        now = await standing(session, campaign)
        pace = await pace_of(session, campaign, now=ctx.now())
        failures = await causes(session, campaign)
        skipped = await causes(session, campaign, Outcome.SKIPPED)
    shown = flat(campaign, now.ended) | _progress(now, pace)
    if as_json:
        put_json(shown | {"failures": [one.flat() for one in failures], "skipped": [one.flat() for one in skipped]})
        return
    put_table(None, ("field", "value"), [(name, _cell(value)) for name, value in shown.items()])
    _put_causes("failed, because", failures)
    _put_causes("skipped, because", skipped)


async def find_campaign(runtime: Runtime, name: str) -> Campaign:
    """Find a campaign by its id, or by what it begins with; exits where that is none, or more than one."""
    bounds = between(name)
    if bounds is None:
        fail(f"{name!r} is no id of a campaign, nor its first {FEWEST_CHARACTERS} characters or more.", code=2)
    wanted = select(Campaign).where(
        col(Campaign.application_id) == runtime.application.id, col(Campaign.id).between(*bounds)
    )
    async with runtime.context.database.reading() as session:
        found = (await session.scalars(wanted.order_by(col(Campaign.id)).limit(NAMED_AT_MOST))).all()
    if not found:
        fail(f"No campaign has the id {name}. (evergrant campaigns list)")
    if len(found) > 1:
        fail(f"{name} begins the ids of several campaigns: {', '.join(str(campaign.id) for campaign in found)}")
    return found[0]


def between(name: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last id that begin so; None for what is too short, or can't begin one."""
    digits = name.replace("-", "").lower()
    if len(name) < FEWEST_CHARACTERS or not set(digits) <= set("0123456789abcdef") or not 0 < len(digits) <= 32:
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


async def ended_of(session: AsyncSession, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[Outcome, int]]:
    """Count how the items of several campaigns ended."""
    counted = (
        select(col(CampaignItem.campaign_id), col(CampaignItem.outcome), func.count())
        .where(col(CampaignItem.campaign_id).in_(ids), col(CampaignItem.outcome).is_not(None))
        .group_by(col(CampaignItem.campaign_id), col(CampaignItem.outcome))
    )
    ended: dict[UUID, dict[Outcome, int]] = defaultdict(dict)
    for campaign_id, outcome, number in await session.execute(counted):
        if outcome:
            ended[campaign_id][outcome] = number
    return ended


def flat(campaign: Campaign, ended: Mapping[Outcome, int]) -> dict[str, Any]:
    """A campaign as a flat object, but for its filter and the counts by outcome."""
    times = ("created_at", "started_at", "finished_at")
    return {
        "campaign_id": str(campaign.id),
        "status": campaign.status.value,
        "reason": campaign.reason,
        "source": campaign.source,
        "actor": campaign.actor,
        "filter": whom(campaign),
        "total": campaign.total,
        "ended": sum(ended.values()),
        "failed": sum(ended.get(outcome, 0) for outcome in FAILED),
        "outcomes": {outcome.value: number for outcome, number in sorted(ended.items())},
        "rate": campaign.rate,
        "max_failures": campaign.max_failures,
        "ask_users": campaign.ask_users,
        "schedule_id": str(campaign.schedule_id) if campaign.schedule_id else None,
        "idempotency_key": campaign.idempotency_key,
        **{name: when.isoformat() if (when := getattr(campaign, name)) else None for name in times},
    }


def _progress(now: Standing, pace: float) -> dict[str, Any]:
    left = seconds_left(now, pace)
    return {
        "left": now.left,
        "waiting_for_users": now.waiting,
        "a_second": round(pace, 2),
        "seconds_left": None if left is None else round(left),
    }


def _put_causes(title: str, found: Sequence[Failing]) -> None:
    if found:
        out.print()
        put_table(None, (title, "items", "request_id"), [(one.cause, one.items, one.request_id) for one in found])


def _cell(value: object) -> object:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items()) or "all"
    return value
