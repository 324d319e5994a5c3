"""What a campaign is asked for by, and what becomes of a message of another program that asks for one."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignStatus, Event, Outcome
from models.kinds import REAUTH_BULK_REQUESTED
from simulator import Running
from tasks.campaigns.from_tasks import MOST_KEPT, asked_by_task
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.starting import start_campaigns
from tasks.context import Context
from tests.stories import known, the_event, the_items

ACCOUNT = "service-account"


async def campaigns(ctx: Context) -> list[Campaign]:
    """All campaigns."""
    async with ctx.database.reading() as session:
        return list(await session.scalars(select(Campaign).order_by(col(Campaign.id))))


async def requests(ctx: Context) -> list[Event]:
    """All events that ask for campaigns."""
    wanted = select(Event).where(col(Event.kind) == REAUTH_BULK_REQUESTED).order_by(col(Event.id))
    async with ctx.database.reading() as session:
        return list(await session.scalars(wanted))


async def asked(ctx: Context, payload: object, *, task_id: str | None = "t1") -> list[Any]:
    """Let a message ask for something."""
    return await asked_by_task(ctx, payload, task_id=task_id, sender="gen1@crm")


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ({"filter": {}, "colour": "red"}, "colour"),
        ({"filter": {"colour": "red"}}, "filter.colour"),
        ({"filter": {"status": "dead"}}, "filter.status"),
        ({"filter": {"expired_since": "2026-03-01T12:00:00"}}, "filter.expired_since"),
        ({"filter": {"provider": "a\0b"}}, "filter.provider"),
        ({"filter": {"provider": ""}}, "filter.provider"),
        ({"filter": {"hours_left": float("nan")}}, "filter.hours_left"),
        ({"filter": {"hours_left": 0}}, "filter.hours_left"),
        ({"grants": []}, "grants"),
        ({"grants": ["a\0b"]}, "grants.0"),
        ({"grants": ["x"] * 10_001}, "grants"),
        ({"filter": {}, "rate": 0}, "rate"),
        ({"filter": {}, "rate": float("nan")}, "rate"),
        ({"filter": {}, "max_failures": "101%"}, "max_failures"),
        ({"filter": {}, "idempotency_key": "a b"}, "idempotency_key"),
        ({"filter": {}, "ask_users": "perhaps"}, "ask_users"),
    ],
)
def test_a_request_that_cannot_be_right_says_where(payload: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CampaignRequest.model_validate(payload)
    assert {".".join(map(str, one["loc"])) for one in refused.value.errors()} == {where}


async def test_a_message_becomes_a_campaign_that_starts(ctx: Context, sim: Running) -> None:
    ids = await known(ctx, sim, 2, status="invalid", credential_id=ACCOUNT)

    events = await asked(ctx, {"filter": {"status": "expired"}, "rate": 5, "max_failures": "5%"})
    await start_campaigns.run(ctx, events)

    [campaign] = await campaigns(ctx)
    assert (campaign.status, campaign.source, campaign.actor) == (CampaignStatus.RUNNING, "task", "a task of gen1@crm")
    assert (campaign.filter, campaign.rate, campaign.max_failures) == ({"status": "expired"}, 5, "5%")
    assert {item.grant_id for item in await the_items(ctx, campaign.id)} == set(ids)


@pytest.mark.parametrize("payload", [{"filter": {}}, {"filter": {}, "idempotency_key": "monday"}])
async def test_a_message_that_comes_twice_is_one_campaign(ctx: Context, payload: dict[str, Any]) -> None:
    first, second = await asked(ctx, payload), await asked(ctx, payload)
    assert (len(first), second) == (1, [])
    assert len(await campaigns(ctx)) == 1


async def test_two_messages_are_two_campaigns_unless_they_have_one_key(ctx: Context) -> None:
    for task_id in ("t1", "t2"):
        await asked(ctx, {"filter": {}}, task_id=task_id)
        await asked(ctx, {"filter": {}, "idempotency_key": "monday"}, task_id=f"{task_id}-again")
    assert sorted(str(campaign.idempotency_key) for campaign in await campaigns(ctx)) == [
        "monday",
        "task:t1",
        "task:t2",
    ]


@pytest.mark.parametrize(
    ("payload", "because"),
    [
        ({"filter": {}, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"filter": {"status": "dead"}}, "filter.status: Input should be"),
        ({"a\0b\x1b[31m": 1}, "a?b?[31m: Extra inputs"),
        ({}, "say whom it is for: either by `filter` ({} is everybody), or by `grants`"),
        ({"filter": {}, "grants": ["g1"]}, "say whom it is for"),
        ("everybody", "the payload: Input should be a valid dictionary"),
        (17, "the payload: Input should be a valid dictionary"),
    ],
)
async def test_a_request_that_is_refused_is_kept_with_the_reason(ctx: Context, payload: object, because: str) -> None:
    assert await asked(ctx, payload) == []
    assert await asked(ctx, payload) == []
    [event] = await requests(ctx)
    assert (event.outcome, event.source, json.loads(event.raw)) == (Outcome.SET_ASIDE, "task", payload)
    assert because in (event.reason or "")
    assert await campaigns(ctx) == []


async def test_the_same_key_for_something_else_is_refused(ctx: Context) -> None:
    await asked(ctx, {"filter": {}, "idempotency_key": "monday"})
    await asked(ctx, {"filter": {"provider": "google"}, "idempotency_key": "monday"}, task_id="t2")
    refused = [event for event in await requests(ctx) if event.outcome is Outcome.SET_ASIDE]
    assert ["use a new key" in (event.reason or "") for event in refused] == [True]
    assert len(await campaigns(ctx)) == 1


async def test_a_payload_of_any_size_and_depth_is_kept_as_far_as_it_may_be(ctx: Context) -> None:
    deep: object = "x"
    for _ in range(3_000):
        deep = [deep]
    await asked(ctx, {"filter": {}, "note": "x" * 1_000_000}, task_id="large")
    await asked(ctx, {"filter": {}, "note": deep}, task_id="deep")
    await asked(ctx, {f"field{number}": 1 for number in range(1_000)}, task_id="wide")
    rows = await requests(ctx)
    assert [event.outcome for event in rows] == [Outcome.SET_ASIDE] * 3
    assert max(len(event.raw) for event in rows) == MOST_KEPT
    assert max(len(event.reason or "") for event in rows) == 2_000


async def test_a_refused_request_that_is_brought_back_is_set_aside_for_the_same_reason(ctx: Context) -> None:
    await asked(ctx, {"colour": "red"})
    [event] = await requests(ctx)
    async with ctx.database.writing() as session:
        row = await session.get_one(Event, event.id)
        row.settled_at = row.outcome = None
    await start_campaigns.run(ctx, [event.id])
    again = await the_event(ctx, event.id)
    assert (again.outcome, again.reason) == (Outcome.SET_ASIDE, event.reason)


def test_a_time_of_any_zone_is_taken() -> None:
    request = CampaignRequest.model_validate({"filter": {"expired_before": "2026-03-01T12:00:00+02:00"}})
    assert request.filter
    assert request.filter.expired_before == datetime(2026, 3, 1, 10, tzinfo=UTC)
