"""Backpressure: bulk is held back while enough of it waits, or too much else does; what somebody waits for never is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import Celery
from redis import Redis
from sqlalchemy import func, select
from sqlmodel import col
from structlog.testing import capture_logs

from models import CampaignItem, CampaignStatus, Event
from models.columns import new_id
from models.database import Database
from models.kinds import GRANT_EXPIRED, GRANT_UPDATED, REAUTH_REQUESTED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import look_at_updated
from tests.bulk import ACCOUNT, run_out, standing, started
from tests.conftest import Rings, SetClock
from tests.front import only_sqlite
from tests.installation import Installation, expired
from tests.journeys import CREDENTIAL, read, seed
from tests.stories import hints, known
from worker.app import KEY_PREFIX, make_app
from worker.doorbell import Doorbell
from worker.sweeper import sweep

BULK, INTERACTIVE = f"{KEY_PREFIX}bulk", f"{KEY_PREFIX}interactive"


@pytest.fixture
def app(valkey: str) -> Iterator["Celery[Any]"]:
    """The app that sends."""
    app = make_app(valkey)
    yield app
    app.close()


def until(it_is_so: Callable[[], bool]) -> None:
    """Wait for what the doorbell's thread is about to do."""
    end = time.monotonic() + 10
    while not it_is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_more_of_bulk_is_sent_than_may_wait_and_all_else_is(app: "Celery[Any]", redis: Any) -> None:
    doorbell = Doorbell(app, bulk_messages=5).start()
    with capture_logs() as logs:
        doorbell.ring(REAUTH_REQUESTED, [new_id() for _ in range(2_000)])
        doorbell.ring(GRANT_EXPIRED, [new_id() for _ in range(2_000)])
        until(lambda: redis.llen(INTERACTIVE) == 10)
        assert redis.llen(BULK) == 5

        redis.ltrim(BULK, 0, 2)  # a worker takes two
        doorbell.ring(REAUTH_REQUESTED, [new_id() for _ in range(2_000)])
        doorbell.ring(GRANT_EXPIRED, [new_id()])
        until(lambda: redis.llen(INTERACTIVE) == 11)
        assert redis.llen(BULK) == 5
        doorbell.stop(grace=10)
    told = [entry["event"] for entry in logs]
    assert told == ["bulk.paused", "bulk.goes_on", "bulk.paused"]


async def test_a_campaign_stands_still_while_more_waits_than_it_may_and_goes_on_by_itself(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = replace(ctx, policy=replace(ctx.policy, bulk_yields=10))
    grants = await known(ctx, sim, 30, status="invalid", credential_id=ACCOUNT)
    campaign = await started(ctx)
    rings.heard.clear()
    clock.forward(seconds=10)
    events = await hints(ctx, GRANT_UPDATED, *grants[:11])

    await sweep(ctx)
    assert {kind for kind, _ in rings.heard} == {GRANT_UPDATED}
    assert await standing(ctx, campaign) is CampaignStatus.RUNNING

    await look_at_updated.run(ctx, events[:1])
    clock.forward(seconds=10)
    await sweep(ctx)
    assert REAUTH_REQUESTED in {kind for kind, _ in rings.heard}
    await run_out(ctx, rings)
    await sweep(ctx)
    assert await standing(ctx, campaign) is CampaignStatus.FINISHED


@pytest.mark.long
@only_sqlite
def test_webhooks_are_settled_while_a_campaign_is_held_back_and_it_ends_as_well(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    there = Installation(tmp_path, database_url, latency_ms=20, concurrency=20)
    there.environ |= {"EVERGRANT_BULK_MESSAGES": "2", "EVERGRANT_BULK_YIELDS": "5"}
    unsettled = select(func.count()).where(col(Event.settled_at).is_(None))
    items_left = select(func.count()).where(col(CampaignItem.settled_at).is_(None))
    redis: Any = Redis.from_url(there.redis_url)
    try:
        there.start("simulator", "web")
        grants = seed(there, 400)
        there.cli("reauth", "--credential", CREDENTIAL, "--yes", "--no-wait")
        with httpx.Client() as client:
            for number in range(20):
                assert there.send(client, expired(grants[number], number=number)).status_code == 200
        there.start("worker")
        there.until(lambda: read(database_url, unsettled) == [0], seconds=30, what="the webhooks are settled")
        most = 0

        def done() -> bool:
            nonlocal most
            most = max(most, redis.llen(BULK))
            return read(database_url, items_left) == [0]

        there.until(done, seconds=60, what="the campaign is done")
    finally:
        redis.close()
        there.stop()
    assert most <= 2 + 2, "web and worker may each have looked before the other rang"
