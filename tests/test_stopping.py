"""Told to stop: each process finishes what it can, hands the rest back, and ends with exit code 0; nothing is lost."""

import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from sqlmodel import col

from ingress.children import Child, accepts, free_port
from models import Event
from models.database import Database
from tests.databases import sqlite_file
from tests.front import only_sqlite
from tests.installation import Installation, expired
from tests.journeys import read, seed

HELD = select(func.count()).where(col(Event.claim_token).is_not(None))
UNSETTLED = select(func.count()).where(col(Event.settled_at).is_(None), col(Event.source) == "nylas")
pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def there(tmp_path: Path, database: Database, database_url: str) -> Iterator[Installation]:
    """An installation."""
    installation = Installation(tmp_path, database_url, concurrency=10)
    yield installation
    installation.stop()


def told(child: Child, *, times: int = 1, first_says: str = "") -> int:
    """Send SIGTERM so many times (the second when the log has the first's word); return the exit code."""
    for number in range(times):
        if number:
            assert child.log is not None
            child.wait_until(lambda: first_says in (child.log.read_text() if child.log else ""), seconds=20)
        child.process.send_signal(signal.SIGTERM)
    code = child.process.wait(25)
    child.stop()  # lets go of its leash
    return code


def hangs(there: Installation, database_url: str) -> None:
    """Have the worker wait for a Nylas that does not answer, and hold rows meanwhile."""
    there.start("simulator", "web", "worker")
    grants = seed(there, 6, status="valid")
    there.sim("POST", "faults", {"path": "/v3/grants*", "delay_ms": 60_000})
    with httpx.Client() as client:
        for number, grant_id in enumerate(grants):
            assert there.send(client, expired(grant_id, number=number)).status_code == 200
    there.until(lambda: read(database_url, HELD)[0] > 0, seconds=20, what="rows are held")


@pytest.mark.long
@pytest.mark.parametrize(("seconds", "times"), [("4", 1), ("600", 2)], ids=["in its time", "by a second signal"])
def test_a_worker_hands_back_what_it_can_not_finish(
    there: Installation, database_url: str, seconds: str, times: int
) -> None:
    there.environ["EVERGRANT_SHUTDOWN_SECONDS"] = seconds
    hangs(there, database_url)
    code = told(there.children["worker"], times=times, first_says="worker.stopping")
    assert code == 0, there.last_words()
    assert read(database_url, HELD) == [0], there.last_words()
    said = (there.folder / "worker.log").read_text()
    assert "worker.hands_back" in said
    assert "worker.left" not in said

    there.sim("DELETE", "faults")
    there.start("worker")
    there.until(lambda: read(database_url, UNSETTLED) == [0], seconds=30, what="another worker settles them")


@pytest.mark.long
@only_sqlite
def test_a_worker_lets_finish_what_runs(there: Installation, database_url: str) -> None:
    there.start("simulator", "web", "worker")
    grants = seed(there, 6, status="valid")
    there.sim("POST", "faults", {"path": "/v3/grants*", "delay_ms": 1_500})
    with httpx.Client() as client:
        assert there.send(client, expired(grants[0], number=1)).status_code == 200
    there.until(lambda: read(database_url, HELD)[0] > 0, seconds=20, what="a row is held")
    assert told(there.children["worker"]) == 0, there.last_words()
    assert read(database_url, HELD, UNSETTLED) == [0, 0]
    assert "worker.hands_back" not in (there.folder / "worker.log").read_text()


@pytest.mark.long
@only_sqlite
def test_web_and_beat_end_with_0_as_well(there: Installation) -> None:
    there.start("simulator", "web")
    beat = there._child("beat", "beat")
    beat.wait_until(lambda: "beat.ready" in (there.folder / "beat.log").read_text(), seconds=30)
    assert told(there.children["web"]) == 0, there.last_words()
    assert told(beat) == 0, there.last_words()


@pytest.mark.long
@only_sqlite
def test_a_second_signal_ends_web_at_once_and_what_got_200_is_there(
    there: Installation, database: Database, database_url: str
) -> None:
    """It has a webhook in its spool, and somebody who never ends his request: it may wait five minutes for him."""
    there.environ["EVERGRANT_SHUTDOWN_SECONDS"] = "600"
    there.start("simulator", "web")
    [grant_id] = seed(there, 1, status="valid")
    with closing(sqlite3.connect(sqlite_file(database), isolation_level=None)) as other, httpx.Client() as client:
        other.execute("BEGIN IMMEDIATE")
        assert there.send(client, expired(grant_id, number=1)).status_code == 200
        with socket.create_connection(("127.0.0.1", there.web_port)) as slow:
            slow.sendall(b"POST /webhooks/nylas HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{")
            web = there.children["web"]
            web.process.send_signal(signal.SIGTERM)
            web.wait_until(lambda: not accepts(there.web_port), seconds=20)
            assert web.process.poll() is None, "it waits for its request"
            assert told(web) == 0, there.last_words()
        other.execute("ROLLBACK")
    assert read(database_url, UNSETTLED) == [0], "its row is in the spool alone"

    there.start("web")
    there.until(lambda: read(database_url, UNSETTLED) == [1], seconds=20, what="another web brings it in")


@pytest.mark.long
@only_sqlite
@pytest.mark.parametrize("times", [1, 2])
def test_up_ends_all_its_parts_and_then_itself(there: Installation, times: int) -> None:
    there.start("simulator")
    log = there.folder / "up.log"
    port = free_port()
    there.environ["EVERGRANT_REDIS_URL"] = there.redis_url
    up = there._child("up", "up", "--port", str(port))
    up.wait_until(lambda: all(word in log.read_text() for word in ("worker.ready", "beat.ready")), seconds=90)
    assert told(up, times=times, first_says="stopping") == 0, log.read_text()
    assert not accepts(port)
    assert "program.died" not in log.read_text()
