"""The doorbell: few messages for many rings, and whoever rings never waits for Redis."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from redis import Redis
from structlog.testing import capture_logs

from ingress.children import free_port
from ingress.embedded import start_valkey
from models.columns import new_id
from models.kinds import GRANT_EXPIRED, GRANT_UPDATED, QUEUES, REAUTH_REQUESTED, SYNC_REQUESTED, UNREADABLE
from worker import doorbell as doorbell_module
from worker.app import KEY_PREFIX, make_app
from worker.doorbell import WAITING_AT_MOST, Doorbell

AT_ONCE = 0.05


@pytest.fixture
def redis(valkey: str) -> Iterator[Any]:
    """An empty Valkey, that nobody pauses any more afterwards."""
    redis = Redis.from_url(valkey, decode_responses=True)
    redis.flushdb()
    yield redis
    redis.client_unpause()
    redis.close()


@pytest.fixture
def app(valkey: str) -> Iterator["Celery[Any]"]:
    """The app that sends."""
    app = make_app(valkey)
    yield app
    app.close()


@pytest.fixture
def doorbell(app: "Celery[Any]", redis: Any) -> Iterator[Doorbell]:
    """A doorbell whose thread the test starts."""
    doorbell = Doorbell(app)
    yield doorbell
    if doorbell._thread.ident:
        doorbell.stop()


def messages(redis: Any, kind: str) -> list[list[UUID]]:
    """The ids in each message of a kind, in the order in which they were sent."""
    found = []
    for raw in reversed(redis.lrange(KEY_PREFIX + QUEUES[kind].value, 0, -1)):
        message = json.loads(raw)
        if message["headers"]["task"] == kind:
            [ids], _, _ = json.loads(base64.b64decode(message["body"]))
            found.append([UUID(row) for row in ids])
    return found


def arrives(redis: Any, kind: str, row: UUID, *, seconds: float) -> bool:
    """Whether a message with this row comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(row in ids for ids in messages(redis, kind)):
            return True
        time.sleep(0.05)
    return False


def slowest_ring(doorbell: Doorbell, times: int = 200) -> float:
    """Ring so often; return how long the slowest one took."""
    slowest = 0.0
    for _ in range(times):
        begin = time.perf_counter()
        doorbell.ring(GRANT_UPDATED, [new_id()])
        slowest = max(slowest, time.perf_counter() - begin)
    return slowest


def test_a_burst_of_rings_becomes_few_messages_with_every_id_once(doorbell: Doorbell, redis: Any) -> None:
    updated, expired, items = ([new_id() for _ in range(many)] for many in (950, 30, 450))
    for number, row in enumerate(updated):
        doorbell.ring(GRANT_UPDATED, [row])
        if number < len(expired):
            doorbell.ring(GRANT_EXPIRED, [expired[number]])
        if number < len(items):
            doorbell.ring(REAUTH_REQUESTED, [items[number]])
    doorbell.start().stop(grace=10)

    assert [len(ids) for ids in messages(redis, GRANT_UPDATED)] == [200, 200, 200, 200, 150]
    assert [len(ids) for ids in messages(redis, GRANT_EXPIRED)] == [30]
    assert [len(ids) for ids in messages(redis, REAUTH_REQUESTED)] == [200, 200, 50]
    for kind, rows in ((GRANT_UPDATED, updated), (GRANT_EXPIRED, expired), (REAUTH_REQUESTED, items)):
        assert [row for ids in messages(redis, kind) for row in ids] == rows


def test_one_ring_with_many_rows_is_parted_as_well(doorbell: Doorbell, redis: Any) -> None:
    rows = [new_id() for _ in range(201)]
    doorbell.start()
    doorbell.ring(GRANT_UPDATED, rows)
    doorbell.ring(SYNC_REQUESTED, rows)
    doorbell.stop(grace=10)
    assert [len(ids) for ids in messages(redis, GRANT_UPDATED)] == [200, 1]
    assert [len(ids) for ids in messages(redis, SYNC_REQUESTED)] == [100, 100, 1]


def test_a_single_ring_is_sent_at_once(doorbell: Doorbell, redis: Any) -> None:
    doorbell.start()
    doorbell.ring(GRANT_EXPIRED, [row := new_id()])
    assert arrives(redis, GRANT_EXPIRED, row, seconds=5)


@pytest.mark.parametrize("kind", [UNREADABLE, "message.created", "", "celery.backend_cleanup"])
def test_unknown_kinds_are_never_sent(doorbell: Doorbell, redis: Any, kind: str) -> None:
    doorbell.start()
    doorbell.ring(kind, [new_id()])
    doorbell.stop(grace=10)
    assert redis.keys(f"{KEY_PREFIX}*") == []


def test_no_rows_are_no_message(doorbell: Doorbell, redis: Any) -> None:
    doorbell.start()
    doorbell.ring(GRANT_EXPIRED, [])
    doorbell.stop(grace=10)
    assert messages(redis, GRANT_EXPIRED) == []


def test_nobody_waits_while_redis_hangs_and_rings_arrive_when_it_is_back(doorbell: Doorbell, redis: Any) -> None:
    doorbell.start()
    doorbell.ring(GRANT_EXPIRED, [first := new_id()])
    assert arrives(redis, GRANT_EXPIRED, first, seconds=5), "the connection is open"

    redis.execute_command("CLIENT", "PAUSE", 1500, "ALL")
    assert slowest_ring(doorbell) < AT_ONCE

    doorbell.ring(GRANT_EXPIRED, [later := new_id()])
    assert arrives(redis, GRANT_EXPIRED, later, seconds=10)


def test_nobody_waits_while_redis_is_gone_and_new_rings_arrive_when_it_is_back(tmp_path: Path) -> None:
    """What was rung for meanwhile may be lost: the sweep rings for it again."""
    port = free_port()
    server, url = start_valkey(tmp_path, keep=False, port=port)
    app = make_app(url)
    doorbell = Doorbell(app).start()
    try:
        redis: Any = Redis.from_url(url, decode_responses=True)
        doorbell.ring(GRANT_EXPIRED, [first := new_id()])
        assert arrives(redis, GRANT_EXPIRED, first, seconds=5)

        server.stop()
        with capture_logs() as logs:
            assert slowest_ring(doorbell) < AT_ONCE
            end = time.monotonic() + 10
            while not logs and time.monotonic() < end:
                time.sleep(0.05)
        assert logs[0]["event"] == "doorbell.failed"
        assert logs[0]["kind"] == GRANT_UPDATED
        assert doorbell._thread.is_alive()

        server, _ = start_valkey(tmp_path, keep=False, port=port)
        doorbell.ring(GRANT_EXPIRED, [later := new_id()])
        assert arrives(redis, GRANT_EXPIRED, later, seconds=10)
    finally:
        doorbell.stop()
        app.close()
        server.stop()


def test_nothing_raises_where_there_never_was_a_redis() -> None:
    app = make_app(f"redis://127.0.0.1:{free_port()}/0")
    doorbell = Doorbell(app).start()
    assert slowest_ring(doorbell) < AT_ONCE
    begin = time.monotonic()
    doorbell.stop(grace=0.5)
    assert time.monotonic() - begin < 2
    app.close()


def test_a_full_queue_drops_rings_and_says_so(app: "Celery[Any]") -> None:
    doorbell = Doorbell(app)
    row = new_id()
    for _ in range(WAITING_AT_MOST):
        doorbell.ring(GRANT_UPDATED, [row])
    with capture_logs() as logs:
        doorbell.ring(GRANT_EXPIRED, [row, row])
    assert logs == [{"event": "doorbell.full", "kind": GRANT_EXPIRED, "rows": 2, "log_level": "warning"}]


def test_a_full_queue_does_not_hold_up_the_end(app: "Celery[Any]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell_module, "WAITING_AT_MOST", 1)
    doorbell = Doorbell(app)
    doorbell.ring(GRANT_UPDATED, [new_id()])
    begin = time.monotonic()
    doorbell.stop()
    assert time.monotonic() - begin < 1
