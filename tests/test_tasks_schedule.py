"""Schedules: each due time becomes one event, however many beats fire."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlmodel import col

from models import Event
from models.kinds import SYNC_REQUESTED
from tasks.context import Context
from tasks.schedule import fire, last_due
from tests.conftest import Rings, SetClock, another_worker

HOURLY = "17 * * * *"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "now", "due"),
    [
        (HOURLY, "2026-03-10T12:17:00", "2026-03-10T12:17:00"),
        (HOURLY, "2026-03-10T12:17:59.999999", "2026-03-10T12:17:00"),
        (HOURLY, "2026-03-10T12:16:59.999999", "2026-03-10T11:17:00"),
        (HOURLY, "2026-03-10T12:18:00", "2026-03-10T12:17:00"),
        ("* * * * *", "2026-03-10T12:16:30", "2026-03-10T12:16:00"),
        ("*/15 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("*/15 * * * *", "2025-12-31T23:59:59", "2025-12-31T23:45:00"),
        ("0 3 * * 1", "2026-03-09T03:00:00", "2026-03-09T03:00:00"),
        ("0 3 * * 1", "2026-03-09T02:59:59", "2026-03-02T03:00:00"),
        ("0 0 29 2 *", "2026-03-10T12:00:00", "2024-02-29T00:00:00"),
        # The night the clocks go forward in Europe: a schedule is UTC, and UTC has no such night.
        ("30 1 * * *", "2026-03-29T01:30:00", "2026-03-29T01:30:00"),
    ],
)
def test_a_schedule_was_last_due_at(cron: str, now: str, due: str) -> None:
    assert last_due(cron, at(now)) == at(due)


async def events(ctx: Context) -> list[Event]:
    async with ctx.database.reading() as session:
        return list((await session.scalars(select(Event).order_by(col(Event.received_at)))).all())


async def test_two_beats_that_fire_for_one_due_time_make_one_event(ctx: Context, clock: SetClock, rings: Rings) -> None:
    clock.time = at("2026-03-10T12:17:00.2")

    await asyncio.gather(fire.run(ctx, SYNC_REQUESTED, HOURLY), fire.run(another_worker(ctx), SYNC_REQUESTED, HOURLY))
    clock.forward(minutes=20)
    await fire.run(ctx, SYNC_REQUESTED, HOURLY)

    [event] = await events(ctx)
    assert (event.kind, event.source, event.due_at) == (SYNC_REQUESTED, "schedule", at("2026-03-10T12:17:00.2"))
    assert rings.heard == [(SYNC_REQUESTED, [event.id])]


async def test_the_next_due_time_makes_another_event(ctx: Context, clock: SetClock, rings: Rings) -> None:
    clock.time = at("2026-03-10T12:17:00.2")
    await fire.run(ctx, SYNC_REQUESTED, HOURLY)
    clock.forward(hours=1)
    await fire.run(ctx, SYNC_REQUESTED, HOURLY)

    first, second = await events(ctx)
    assert first.key != second.key
    assert [ids for _, ids in rings.heard] == [[first.id], [second.id]]


async def test_a_beat_that_was_away_fires_once_for_all_that_it_missed(ctx: Context, clock: SetClock) -> None:
    clock.time = at("2026-03-10T12:17:00.2")
    await fire.run(ctx, SYNC_REQUESTED, HOURLY)
    clock.forward(hours=5, minutes=13)

    await fire.run(ctx, SYNC_REQUESTED, HOURLY)

    assert [event.key[-25:] for event in await events(ctx)] == [
        "2026-03-10T12:17:00+00:00",
        "2026-03-10T17:17:00+00:00",
    ]
