"""The doorbell: few messages for many rings, and whoever rings never waits for Redis."""

import base64
import json
import os
import signal
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


@pytest.fixture
def redis(valkey: str) -> Iterator[Any]:
    """An empty Valkey."""
    redis = Redis.from_url(valkey, decode_responses=True)
    redis.flushdb()
    yield redis
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


@pytest.fixture
def failing(tmp_path: Path) -> Iterator["Failing"]:
    """A Valkey that only this test has, and a doorbell that has rung once there."""
    failing = Failing(tmp_path)
    yield failing
    failing.end()


class Failing:
    """A Valkey to be frozen or stopped, and the doorbell that rings there."""

    def __init__(self, directory: Path) -> None:
        """Start both; the doorbell's connection is open when this returns."""
        self._directory, self._port = directory, free_port()
        self.server, url = start_valkey(directory, keep=False, port=self._port)
        self.redis: Any = Redis.from_url(url, decode_responses=True)
        self._pid = self.redis.info("server")["process_id"]
        self._app = make_app(url)
        self.doorbell = Doorbell(self._app).start()
        self.doorbell.ring(GRANT_EXPIRED, [first := new_id()])
        assert arrives(self.redis, GRANT_EXPIRED, first, seconds=5)

    def freeze(self) -> None:
        """Let it answer nothing, and close nothing."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def start_again(self) -> None:
        """Start another Valkey on the same port."""
        self.server, _ = start_valkey(self._directory, keep=False, port=self._port)

    def end(self) -> None:
        """End all."""
        self.doorbell.stop()
        self._app.close()
        self.redis.close()
        self.server.stop()


def test_nobody_waits_while_redis_hangs_and_rings_arrive_when_it_is_back(failing: Failing) -> None:
    """All have rung before the first message has been sent, or given up."""
    rows = [new_id() for _ in range(200)]
    failing.freeze()
    with capture_logs() as logs:
        for row in rows:
            failing.doorbell.ring(GRANT_UPDATED, [row])
        assert logs == [], "nothing has failed yet"
    failing.thaw()

    assert arrives(failing.redis, GRANT_UPDATED, rows[-1], seconds=10)
    assert [row for ids in messages(failing.redis, GRANT_UPDATED) for row in ids] == rows


def test_nothing_raises_while_redis_is_gone_and_new_rings_arrive_when_it_is_back(failing: Failing) -> None:
    """What was rung for meanwhile may be lost: the sweep rings for it again."""
    failing.server.stop()
    with capture_logs() as logs:
        failing.doorbell.ring(GRANT_UPDATED, [new_id()])
        end = time.monotonic() + 10
        while not logs and time.monotonic() < end:
            time.sleep(0.05)
    assert logs[0]["event"] == "doorbell.failed"
    assert logs[0]["kind"] == GRANT_UPDATED
    assert failing.doorbell._thread.is_alive()

    failing.start_again()
    failing.doorbell.ring(GRANT_EXPIRED, [later := new_id()])
    assert arrives(failing.redis, GRANT_EXPIRED, later, seconds=10)


def test_nothing_raises_where_there_never_was_a_redis() -> None:
    app = make_app(f"redis://127.0.0.1:{free_port()}/0")
    doorbell = Doorbell(app).start()
    rows = [new_id() for _ in range(200)]
    with capture_logs() as logs:
        for row in rows:
            doorbell.ring(GRANT_UPDATED, [row])
        doorbell.stop(grace=30)
    assert not doorbell._thread.is_alive()
    assert {entry["event"] for entry in logs} == {"doorbell.failed"}
    assert sum(entry["rows"] for entry in logs) == len(rows), "each is told of"
    app.close()


def test_who_stops_while_redis_hangs_waits_for_his_grace_alone(failing: Failing) -> None:
    failing.freeze()
    failing.doorbell.ring(GRANT_UPDATED, [new_id()])
    with capture_logs() as logs:
        failing.doorbell.stop(grace=0.1)
        assert logs == [], "it has not failed yet"
    assert failing.doorbell._thread.is_alive()
    failing.thaw()


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
    doorbell.stop()  # it would raise if it waited for a thread that nobody has started
