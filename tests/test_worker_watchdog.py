"""The watchdog: a worker that lives and takes nothing is ended, and one that has nothing to take is not."""

import os
import secrets
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from models.columns import new_id
from models.kinds import GRANT_UPDATED, Queue
from tests.conftest import API_KEY, CLIENT_ID
from tests.front import only_sqlite
from worker.app import make_app
from worker.doorbell import Doorbell
from worker.watchdog import EXIT_CODE

ROOT = Path(__file__).parent.parent
WORKS = """
import sys, threading, time
from celery import signals
from worker import logs, serve, watchdog
from worker.pool import LOOP
from worker.settings import read

watchdog.LOOKS_EVERY, watchdog.SILENT, watchdog.LETS_GO = 0.5, 2.0, 0.5  # we have no 30 s to spare

def block(**_):
    if sys.argv[2] == "deaf":
        LOOP.loop.call_soon_threadsafe(time.sleep, 60)

signals.worker_ready.connect(block, weak=False)
logs.configure("text")
sys.exit(serve.run_worker(read(), redis_url=sys.argv[1], concurrency=4))
"""
pytestmark = [only_sqlite, pytest.mark.usefixtures("database")]


@pytest.fixture
def app(valkey: str) -> Iterator["Celery[Any]"]:
    """An app on an empty Valkey."""
    redis = Redis.from_url(valkey)
    redis.flushdb()
    redis.close()
    app = make_app(valkey)
    yield app
    app.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the worker says."""
    return tmp_path / "worker.log"


@pytest.fixture
def start(
    valkey: str, app: "Celery[Any]", database_url: str, log: Path
) -> Iterator[Callable[[str], "subprocess.Popen[bytes]"]]:
    """Start a worker with a watchdog that is soon alarmed."""
    environ = {
        **os.environ,
        "EVERGRANT_NYLAS_API_KEY": API_KEY,
        "EVERGRANT_NYLAS_CLIENT_ID": CLIENT_ID,
        "EVERGRANT_NYLAS_API_URI": "http://127.0.0.1:9",
        "EVERGRANT_PUBLIC_URL": "https://evergrant.example.com",
        "EVERGRANT_DATABASE_URL": database_url,
        "EVERGRANT_SECRET_KEYS": b64encode(secrets.token_bytes(32)).decode(),
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(how: str) -> "subprocess.Popen[bytes]":
        with log.open("wb") as output:
            command = [sys.executable, "-c", WORKS, valkey, how]
            started.append(subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output))
        until(lambda: "worker.ready" in log.read_text())
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def until(it_is_so: Callable[[], object]) -> None:
    """Wait for what another process is about to do."""
    end = time.monotonic() + 30
    while not it_is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def stops_consuming(app: "Celery[Any]") -> None:
    """Have the worker live on, and consume nothing: what a reconnection that went wrong leaves."""
    for queue in Queue:
        assert app.control.cancel_consumer(queue.value, reply=True, timeout=5)


def rings(app: "Celery[Any]") -> None:
    """Ring for a row; that there is none does not matter."""
    doorbell = Doorbell(app).start()
    doorbell.ring(GRANT_UPDATED, [new_id()])
    doorbell.stop(grace=10)


@pytest.mark.long
def test_a_worker_that_takes_no_message_is_ended(
    start: Callable[[str], "subprocess.Popen[bytes]"], app: "Celery[Any]", log: Path
) -> None:
    worker = start("sound")
    stops_consuming(app)
    rings(app)
    assert worker.wait(30) == EXIT_CODE
    assert "watchdog.ends_worker" in log.read_text()
    assert "it takes no messages" in log.read_text()


@pytest.mark.long
def test_a_worker_whose_loop_is_deaf_is_ended(start: Callable[[str], "subprocess.Popen[bytes]"], log: Path) -> None:
    assert start("deaf").wait(30) == EXIT_CODE
    assert "its loop is deaf" in log.read_text()


@pytest.mark.long
def test_a_worker_that_has_nothing_to_take_or_no_redis_is_let_be(
    start: Callable[[str], "subprocess.Popen[bytes]"], app: "Celery[Any]", valkey: str, log: Path
) -> None:
    worker = start("sound")
    redis: Any = Redis.from_url(valkey)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(4)  # twice as long as the watchdog's patience
    redis.execute_command("CLIENT", "PAUSE", 4_000, "ALL")
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(4)
    redis.close()
    assert "watchdog" not in log.read_text()
