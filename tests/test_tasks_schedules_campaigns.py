"""Schedules of campaigns: one at a time, marked with what fired for it, and set aside where it can't be."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models import Campaign, CampaignStatus, Outcome
from tasks.context import Context
from tests.conftest import Rings, SetClock
from tests.scheduling import NOON, campaigns, events, fresh, scheduled_campaigns, two_beats


async def test_a_campaign_says_which_schedule_fired_for_it(ctx: Context, clock: SetClock) -> None:
    clock.time = NOON
    schedule = await scheduled_campaigns(ctx, "0 13 * * *", ask_users=True)
    clock.forward(hours=1, seconds=4)

    await two_beats(ctx)

    [campaign] = await campaigns(ctx)
    assert (campaign.schedule_id, campaign.fired_for) == (schedule.id, NOON + timedelta(hours=1))
    assert (campaign.source, campaign.actor, campaign.reason) == ("schedule", "schedule nightly", None)
    assert (campaign.filter, campaign.rate, campaign.max_failures) == ({"status": "expired"}, 5.0, "5%")
    assert campaign.ask_users


async def test_a_late_campaign_says_so(ctx: Context, clock: SetClock) -> None:
    clock.time = NOON
    await scheduled_campaigns(ctx, "0 13 * * *")
    clock.forward(hours=27)
    await two_beats(ctx)
    [campaign] = await campaigns(ctx)
    assert campaign.reason == "late by 26 h: it was due at 2026-03-10 13:00+00:00"


@pytest.mark.parametrize(
    ("status", "because"),
    [
        (CampaignStatus.PLANNED, "the campaign of 2026-03-10 12:01+00:00 still runs"),
        (CampaignStatus.RUNNING, "the campaign of 2026-03-10 12:01+00:00 still runs"),
        (CampaignStatus.PAUSED, "the campaign of 2026-03-10 12:01+00:00 has not ended: it is paused"),
        (CampaignStatus.STOPPED, "the campaign of 2026-03-10 12:01+00:00 has not ended: it is stopped"),
    ],
)
async def test_while_a_campaign_runs_its_schedule_asks_for_no_other(
    ctx: Context, clock: SetClock, rings: Rings, status: CampaignStatus, because: str
) -> None:
    clock.time = NOON
    schedule = await scheduled_campaigns(ctx, "* * * * *")
    clock.forward(minutes=1)
    await two_beats(ctx)
    await stands(ctx, status)
    rings.heard.clear()

    clock.forward(minutes=1)
    await two_beats(ctx)

    [_, skipped] = await events(ctx)
    assert (skipped.outcome, skipped.reason, skipped.settled_at) == (Outcome.SKIPPED, because, clock())
    assert rings.heard == []
    await stands(ctx, CampaignStatus.FINISHED)
    clock.forward(minutes=1)
    await two_beats(ctx)
    assert [campaign.fired_for for campaign in await campaigns(ctx)] == [NOON + timedelta(minutes=n) for n in (1, 3)]
    assert (await fresh(ctx, schedule)).next_at == NOON + timedelta(minutes=4)


async def stands(ctx: Context, status: CampaignStatus) -> None:
    """Let all campaigns have this status."""
    async with ctx.database.writing() as session:
        for campaign in await session.scalars(select(Campaign)):
            campaign.status = status


@pytest.mark.parametrize(
    ("payload", "because"),
    [
        ({"filter": None}, "say whom it is for"),
        ({"filter": {"color": "red"}}, "what it asks for is no request of a campaign: filter.color: "),
        ({"max_failures": "many"}, "max_failures: "),
    ],
)
async def test_what_can_t_be_asked_for_is_set_aside_and_the_schedule_goes_on(
    ctx: Context, clock: SetClock, rings: Rings, payload: dict[str, Any], because: str
) -> None:
    clock.time = NOON
    schedule = await scheduled_campaigns(ctx, "0 * * * *", **payload)
    clock.forward(hours=2, minutes=30)

    await two_beats(ctx)

    [event] = await events(ctx)
    assert event.outcome is Outcome.SET_ASIDE
    assert because in (event.reason or "")
    assert (event.reason or "").endswith("; late by 90 min: it was due at 2026-03-10 13:00+00:00")
    assert (await campaigns(ctx), rings.heard) == ([], [])
    stands = await fresh(ctx, schedule)
    assert (stands.next_at, stands.paused_at) == (NOON + timedelta(hours=3), None)
