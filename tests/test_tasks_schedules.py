"""Schedules: each due time is asked for once, however many beats there are, and what was missed once and late."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from models import Outcome, Schedule
from models.columns import new_id
from models.kinds import REAUTH_BULK_REQUESTED, SYNC_REQUESTED
from tasks import schedules
from tasks.context import Context
from tasks.schedules import fire_due
from tests.conftest import Rings, SetClock
from tests.scheduling import NOON, at, campaigns, change, events, fresh, scheduled, scheduled_campaigns, two_beats


async def test_twenty_due_times_and_two_beats_are_twenty_firings(ctx: Context, clock: SetClock, rings: Rings) -> None:
    clock.time = NOON + timedelta(seconds=3)
    schedule = await scheduled(ctx, "* * * * *")

    for _ in range(20):
        clock.forward(minutes=1)
        await two_beats(ctx)

    fired = await events(ctx)
    assert [event.occurred_at for event in fired] == [NOON + timedelta(minutes=number) for number in range(1, 21)]
    assert {(event.kind, event.source, event.settled_at, event.reason) for event in fired} == {
        (SYNC_REQUESTED, "schedule", None, None)
    }
    assert rings.heard == [(SYNC_REQUESTED, [event.id]) for event in fired]
    stands = await fresh(ctx, schedule)
    assert (stands.fired_at, stands.fired_for) == (clock(), NOON + timedelta(minutes=20))
    assert stands.next_at == NOON + timedelta(minutes=21)


async def test_nothing_fires_before_it_is_due(ctx: Context, clock: SetClock) -> None:
    clock.time = NOON
    await scheduled(ctx, "0 13 * * *")
    clock.forward(minutes=59, seconds=59)
    await two_beats(ctx)
    assert await events(ctx) == []


async def test_a_missed_night_fires_once_and_says_how_late(ctx: Context, clock: SetClock) -> None:
    clock.time = at("2026-03-10T22:00:00")
    schedule = await scheduled(ctx, "0 2-5 * * *", zone="Europe/Berlin")
    clock.time = at("2026-03-11T04:30:00")

    await two_beats(ctx)

    [event] = await events(ctx)
    assert event.occurred_at == at("2026-03-11T01:00:00")
    assert event.reason == "late by 3 h: it was due at 2026-03-11 02:00+01:00"
    assert (await fresh(ctx, schedule)).next_at == at("2026-03-12T01:00:00")


@pytest.mark.parametrize(
    ("cron", "from_", "dues"),
    [
        # Forward, from 2:00 to 3:00: what the gap swallows comes at its end.
        ("30 2 * * *", "2026-03-28T12:00:00", ["2026-03-29T01:00:00", "2026-03-30T00:30:00"]),
        ("0 2-3 * * *", "2026-03-28T12:00:00", ["2026-03-29T01:00:00", "2026-03-30T00:00:00", "2026-03-30T01:00:00"]),
        ("*/30 2 * * *", "2026-03-28T12:00:00", ["2026-03-30T00:00:00", "2026-03-30T00:30:00"]),
        ("0 * * * *", "2026-03-29T00:30:00", ["2026-03-29T01:00:00", "2026-03-29T02:00:00"]),
        # Back, from 3:00 to 2:00: what names its hour comes the first time only.
        ("30 2 * * *", "2026-10-24T12:00:00", ["2026-10-25T00:30:00", "2026-10-26T01:30:00"]),
        ("*/30 2 * * *", "2026-10-25T00:10:00", ["2026-10-25T00:30:00", "2026-10-25T01:00:00", "2026-10-25T01:30:00"]),
        ("0 * * * *", "2026-10-24T23:30:00", ["2026-10-25T00:00:00", "2026-10-25T01:00:00", "2026-10-25T02:00:00"]),
    ],
)
async def test_in_berlin_it_fires_at_the_changes_of_the_clocks(
    ctx: Context, clock: SetClock, cron: str, from_: str, dues: list[str]
) -> None:
    clock.time = at(from_)
    await scheduled(ctx, cron, zone="Europe/Berlin")
    while clock.time < at(dues[-1]):
        clock.forward(minutes=30)
        await fire_due.run(ctx)
    assert [event.occurred_at for event in await events(ctx)] == [at(due) for due in dues]


async def test_a_process_that_dies_in_between_has_fired_not_at_all(
    ctx: Context, clock: SetClock, rings: Rings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the campaign was written, and before the commit."""
    clock.time = NOON
    schedule = await scheduled_campaigns(ctx, "5 12 * * *")
    clock.forward(minutes=5)
    with monkeypatch.context() as patch:
        real = schedules.ask

        async def dies(*args: Any, **kwargs: Any) -> Any:
            await real(*args, **kwargs)
            raise ConnectionResetError

        patch.setattr(schedules, "ask", dies)
        with pytest.raises(ConnectionResetError):
            await fire_due.run(ctx)
    assert (await campaigns(ctx), await events(ctx), rings.heard) == ([], [], [])
    assert (await fresh(ctx, schedule)).next_at == clock()

    await two_beats(ctx)

    [campaign], [event] = await campaigns(ctx), await events(ctx)
    assert campaign.fired_for == clock()
    assert rings.heard == [(REAUTH_BULK_REQUESTED, [event.id])]


async def test_a_schedule_that_fails_keeps_no_other_from_firing(
    ctx: Context, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.time = NOON
    await scheduled(ctx, "1 12 * * *", name="first")
    await scheduled(ctx, "2 12 * * *", name="second")
    clock.forward(minutes=2)
    real = schedules.ask

    async def fails(ctx: Context, session: Any, schedule: Schedule, **when: Any) -> Any:
        if schedule.name == "first":
            raise ConnectionResetError
        return await real(ctx, session, schedule, **when)

    monkeypatch.setattr(schedules, "ask", fails)
    with pytest.raises(ConnectionResetError):
        await fire_due.run(ctx)
    assert [event.occurred_at for event in await events(ctx)] == [NOON + timedelta(minutes=2)]


@pytest.mark.parametrize("field", ["paused_at", "removed_at"])
async def test_what_is_paused_or_removed_does_not_fire(ctx: Context, clock: SetClock, field: str) -> None:
    clock.time = NOON
    schedule = await scheduled(ctx, "* * * * *")
    await change(ctx, schedule, **{field: clock()})
    clock.forward(hours=1)
    await two_beats(ctx)
    assert await events(ctx) == []


async def test_a_schedule_of_another_application_is_left_to_its_own_worker(ctx: Context, clock: SetClock) -> None:
    clock.time = NOON
    await scheduled(ctx, "* * * * *")
    clock.forward(minutes=1)
    await fire_due.run(replace(ctx, application_id=new_id()))
    assert await events(ctx) == []


async def test_a_schedule_whose_zone_is_no_more_is_paused_and_says_why(ctx: Context, clock: SetClock) -> None:
    clock.time = NOON
    schedule = await scheduled(ctx, "0 * * * *")
    await change(ctx, schedule, zone="Europe/Atlantis")
    clock.forward(hours=1)
    await two_beats(ctx)
    [event] = await events(ctx)
    assert event.outcome is Outcome.SET_ASIDE
    assert "schedule nightly is paused: 'Europe/Atlantis' is no time zone" in (event.reason or "")
    assert (await fresh(ctx, schedule)).paused_at == clock()
