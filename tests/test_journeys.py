"""Whole stories, on processes that can be killed."""

import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis
from sqlalchemy import func, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import CampaignItem, Event, Outcome, Transition
from models.database import Database
from models.kinds import GRANT_EXPIRED
from tests.front import only_sqlite
from tests.installation import Installation, expired
from tests.journeys import CREDENTIAL, read, seed, standing


@pytest.fixture
def url(database: Database, database_url: str) -> str:
    """The database of the installation, which is migrated."""
    return database_url


@pytest.fixture
def there(tmp_path: Path, url: str) -> Iterator[Installation]:
    """An installation whose parts are not started yet."""
    installation = Installation(tmp_path, url, latency_ms=250, concurrency=20)
    yield installation
    installation.stop()


def renewals(there: Installation) -> int:
    """How many re-authentications Nylas was asked for."""
    asked: int = there.sim("GET", "calls")["by_path"].get("POST /v3/connect/custom", 0)
    return asked


@pytest.mark.long
def test_a_worker_killed_in_the_middle_of_a_campaign_leaves_nothing_undone(there: Installation, url: str) -> None:
    there.start("simulator", "worker")
    seed(there, 200)
    there.sim("DELETE", "calls")
    there.cli("reauth", "--credential", CREDENTIAL, "--yes", "--no-wait")
    there.until(lambda: renewals(there) > 60, seconds=20, what="sixty calls")

    there.kill("worker")
    before = there.sim("GET", "calls")
    there.start("worker")
    there.until(lambda: standing(url, GrantStatus.VALID) == 200, seconds=60, what="every grant renewed")

    calls = there.sim("GET", "calls")
    twice = [
        who for who, paths in calls["by_grant"].items() if paths.get("POST /v3/connect/custom", 0) > 1 and "@" in who
    ]
    done = select(func.count()).where(col(CampaignItem.outcome) == Outcome.DONE)
    assert read(url, done, select(func.count()).select_from(CampaignItem)) == [200, 200]
    # Only what was at Nylas when the worker died, or had just come back, is asked again.
    assert len(twice) <= before["max_in_flight"] + there.concurrency


@pytest.mark.long
@only_sqlite
def test_webhooks_get_200_while_valkey_hangs_and_is_wiped_and_all_are_settled(there: Installation, url: str) -> None:
    there.start("simulator", "worker", "web")
    ids = seed(there, 60, status="valid")
    for grant_id in ids[::2]:
        there.sim("POST", f"grants/{grant_id}/expire", {"send": False})
    broker = redis.Redis.from_url(there.redis_url)
    broker.client_pause(3_000)
    slowest = 0.0
    with httpx.Client() as client:
        for number, grant_id in enumerate(ids):
            began = time.monotonic()
            assert there.send(client, expired(grant_id, number=number)).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.03)
    time.sleep(1.5)
    broker.flushall()
    broker.close()

    def settled() -> bool:
        left = select(func.count()).where(col(Event.kind) == GRANT_EXPIRED, col(Event.settled_at).is_(None))
        return standing(url, GrantStatus.EXPIRED) == 30 and read(url, left) == [0]

    there.until(settled, seconds=30, what="every expiry confirmed, or not")
    assert slowest < 2.0  # it would be 3 s or more if a request waited for Valkey
    confirmed = select(func.count()).where(col(Transition.cause) == "grant.expired")
    assert read(url, confirmed) == [30]


@only_sqlite
def test_the_same_webhook_fifty_times_at_once_is_one_event_and_one_change(there: Installation, url: str) -> None:
    there.start("simulator", "worker", "web")
    (grant_id,) = seed(there, 1, status="valid")
    there.sim("POST", f"grants/{grant_id}/expire", {"send": False})
    event = expired(grant_id, number=1)
    clients: queue.SimpleQueue[httpx.Client] = queue.SimpleQueue()
    opened = [httpx.Client() for _ in range(8)]
    for client in opened:
        clients.put(client)

    def tell(attempt: int) -> int:
        client = clients.get()
        try:
            return there.send(client, {**event, "webhook_delivery_attempt": attempt % 3 + 1}).status_code
        finally:
            clients.put(client)

    with ThreadPoolExecutor(8) as connections:
        assert set(connections.map(tell, range(50))) == {200}
    for client in opened:
        client.close()
    there.until(lambda: standing(url, GrantStatus.EXPIRED) == 1, seconds=20, what="the expiry confirmed")
    changes = select(func.count()).where(col(Transition.cause) == "grant.expired")
    told = select(func.count()).where(col(Event.kind) == GRANT_EXPIRED)
    assert read(url, told, changes) == [1, 1]


@pytest.mark.long
@only_sqlite
def test_one_worker_holds_as_many_calls_in_flight_as_it_is_told_to(tmp_path: Path, url: str) -> None:
    there = Installation(tmp_path, url, concurrency=200)
    try:
        there.start("simulator", "worker")
        seed(there, 600)
        there.sim("POST", "faults", {"path": "/v3/connect/custom", "delay_ms": 1_500})
        there.sim("DELETE", "calls")
        there.cli("reauth", "--credential", CREDENTIAL, "--yes")
        calls = there.sim("GET", "calls")
    finally:
        there.stop()
    assert calls["max_in_flight"] == 200
    assert calls["by_path"]["POST /v3/connect/custom"] == 600
