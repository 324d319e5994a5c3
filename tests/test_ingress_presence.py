"""Presence: after a gap longer than Nylas' retries a sync is asked for, once, and after a short one none is."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from ingress.presence import LOST_AFTER, note_presence
from models import Event
from models.database import Database
from models.kinds import SYNC_REQUESTED
from tasks.context import Context
from tests.conftest import Rings, SetClock, another_worker
from tests.front import inbox, installed, only_sqlite, served, without_database

__all__ = ["installed", "without_database"]


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Any]:
    """An empty Valkey."""
    redis = Redis.from_url(valkey)
    await redis.flushdb()
    yield redis
    await redis.aclose()


async def asked(ctx: Context) -> int:
    """How many syncs were asked for."""
    async with ctx.database.reading() as session:
        return len((await session.scalars(select(Event))).all())


async def test_only_a_gap_that_loses_webhooks_asks_for_a_sync_and_only_one_front_does(
    ctx: Context, redis: Any, clock: SetClock, rings: Rings
) -> None:
    await note_presence(ctx, redis)
    for _ in range(3):
        clock.forward(minutes=9)
        await note_presence(ctx, redis)
    assert (await asked(ctx), rings.heard) == (0, [])

    clock.forward(seconds=LOST_AFTER.total_seconds() + 1)
    await note_presence(ctx, redis)
    await note_presence(another_worker(ctx), redis)
    assert await asked(ctx) == 1
    [(kind, [_])] = rings.heard
    assert kind == SYNC_REQUESTED


@only_sqlite
async def test_a_web_front_that_starts_after_an_hour_asks_for_a_sync(
    installed: None, database: Database, valkey: str, redis: Any, clock: SetClock
) -> None:
    await redis.set("evergrant:web:seen", (clock() - timedelta(hours=1)).timestamp())
    async with served(valkey):
        while not (events := await inbox(database)):
            pass
    assert [(event.kind, event.source) for event in events] == [(SYNC_REQUESTED, "presence")]
