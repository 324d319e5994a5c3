"""Strangers on the same Redis: neither takes a message of ours, nor does one of theirs stop a worker of ours."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from ingress.children import Child
from models.columns import new_id
from models.kinds import GRANT_EXPIRED, REAUTH_REQUESTED, Queue
from tests.celery_probe import HOLD, QUEUE, ProbeWorker, probe_app
from worker.app import KEY_PREFIX, make_app
from worker.doorbell import Doorbell

ALIEN = """
import sys
from celery import Celery
app = Celery("alien", broker=sys.argv[1])
app.conf.broker_transport_options = {"global_keyprefix": sys.argv[2]}
app.conf.task_ignore_result = True

@app.task(name="alien.task")
def task():
    print("the alien works", flush=True)

queues = sys.argv[3].split(",")
app.Worker(pool="solo", queues=queues, without_mingle=True, without_gossip=True, loglevel="INFO").start()
"""


@pytest.fixture
def redis(valkey: str) -> Iterator[Any]:
    """An empty Valkey."""
    redis = Redis.from_url(valkey, decode_responses=True)
    redis.flushdb()
    yield redis
    redis.close()


@pytest.fixture(params=["", "evergrant:", "evergrant:0:"], ids=["a stranger", "without a version", "an older one"])
def alien(request: pytest.FixtureRequest, valkey: str, redis: Any, tmp_path: Path) -> Iterator[tuple[Child, str]]:
    """A worker of another program, or of another release, on queues with the names of ours; and its prefix."""
    log = tmp_path / "alien.log"
    names = ",".join(queue.value for queue in Queue)
    child = Child("alien", [sys.executable, "-c", ALIEN, valkey, request.param, names], log=log)
    try:
        child.wait_until(lambda: " ready." in log.read_text(), seconds=30)
        yield child, request.param
    finally:
        child.stop()


def test_no_other_program_and_no_older_one_takes_our_messages(
    valkey: str, redis: Any, alien: tuple[Child, str]
) -> None:
    app = make_app(valkey)
    doorbell = Doorbell(app).start()
    for kind in (GRANT_EXPIRED, REAUTH_REQUESTED):
        doorbell.ring(kind, [new_id()])
    doorbell.stop(grace=10)
    app.close()

    child, prefix = alien
    theirs = Celery("alien", broker=valkey)
    theirs.conf.broker_transport_options = {"global_keyprefix": prefix}
    for queue in Queue:
        theirs.send_task("alien.task", queue=queue.value)
    theirs.close()
    log = child.log
    assert log is not None
    child.wait_until(lambda: log.read_text().count("the alien works") == len(Queue), seconds=20)
    assert [redis.llen(KEY_PREFIX + queue.value) for queue in Queue] == [1, 1, 0]


def test_a_message_of_a_task_that_we_do_not_know_stops_nothing_and_its_content_is_not_logged(
    valkey: str, redis: Any, tmp_path: Path
) -> None:
    app = probe_app(valkey)
    worker = ProbeWorker(valkey, tmp_path, concurrency=2)
    try:
        app.send_task("stranger.task", args=["a-secret-of-theirs"], queue=QUEUE)
        app.send_task(HOLD, args=["after", 0], queue=QUEUE)
        worker.until(lambda: worker.told("after", "done") == 1 and worker.unacked == 0)
        assert worker.waiting == 0
        assert "a-secret-of-theirs" not in worker.log.read_text()
    finally:
        worker.kill()
        app.close()
