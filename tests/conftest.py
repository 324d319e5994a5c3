"""What the tests stand on: a real Valkey, both databases, the simulator over a socket, and a clock to set."""

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import certifi
import httpx
import pytest
from redis import Redis

from ingress.embedded import start_valkey
from models import Application
from models.columns import new_id
from models.database import Database
from models.sealing import Keyring
from nylas_api import NylasClient, open_http
from simulator import Running, start
from tasks.context import Context
from tasks.observing import Observer
from tests.databases import (
    database as database,
)
from tests.databases import (
    database_url as database_url,
)
from tests.databases import (
    databases as databases,
)
from tests.databases import (
    migrated_postgres as migrated_postgres,
)
from tests.databases import (
    migrated_sqlite as migrated_sqlite,
)
from tests.databases import (
    postgres as postgres,
)

HURRY = 0.0005  # seconds that a sweep of Nylas' list waits for each look that is wanted: a twentieth of the usual
API_KEY = "nyk_test_key"
CLIENT_ID = "11111111-2222-4333-8444-555555555555"
WEBHOOK_SECRET = "webhook-secret-of-the-tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests begin first that may take longest: one that begins last keeps all others waiting."""
    items.sort(key=_may_take, reverse=True)


def _may_take(item: pytest.Item) -> float:
    timeout = item.get_closest_marker("timeout")
    return float(timeout.args[0]) if timeout else 0.0


@pytest.fixture(scope="session", autouse=True)
def _a_clean_environment() -> None:
    """No setting of the machine's leaks into a test."""
    for name in [name for name in os.environ if name.startswith("EVERGRANT_") and "_TEST_" not in name]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each HTTP client reads the certificates of all authorities, which takes 30 ms; no test speaks TLS with any."""
    every = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    one = tmp_path_factory.mktemp("authorities") / "one.pem"
    one.write_text(every[every.index("-----BEGIN") : every.index(end)] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(one))
        yield


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a Valkey of this test process' own."""
    with tempfile.TemporaryDirectory(prefix="evergrant-valkey-") as folder:
        server, url = start_valkey(Path(folder), keep=False)
        yield url
        server.stop()


@pytest.fixture
def redis(valkey: str) -> Iterator[Any]:
    """An empty Valkey, by a client that answers with text."""
    client = Redis.from_url(valkey, decode_responses=True)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
async def application_id(database: Database) -> UUID:
    """An application that rows may belong to."""
    at = datetime.now(UTC)
    one = Application(id=new_id(), client_id="c", api_uri="u", api_key="eg1.x.y", created_at=at, updated_at=at)
    async with database.writing() as session:
        session.add(one)
    return one.id


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    """The simulator, listening on a port."""
    running = await start(api_key=API_KEY, client_id=CLIENT_ID, webhook_secret=WEBHOOK_SECRET, retry_waits=(0.05, 0.1))
    yield running
    await running.stop()


@pytest.fixture
async def nylas() -> AsyncIterator[httpx.AsyncClient]:
    """A caller of a simulator that takes any key, with nothing of ours between."""
    running = await start()
    async with httpx.AsyncClient(base_url=running.url, headers={"Authorization": "Bearer key"}) as client:
        yield client
    await running.stop()


@dataclass
class SetClock:
    """A clock that stands still until it is moved."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.time

    def forward(self, **step: float) -> None:
        """Move it."""
        self.time += timedelta(**step)


@dataclass
class Rings:
    """Keeps what was rung, instead of telling a worker."""

    heard: list[tuple[str, list[UUID]]] = field(default_factory=list)

    def __call__(self, kind: str, ids: Sequence[UUID]) -> None:
        """Hear a ring."""
        if ids:
            self.heard.append((kind, list(ids)))


@pytest.fixture
def clock() -> SetClock:
    """A clock to set."""
    return SetClock()


@pytest.fixture
def rings() -> Rings:
    """What the tasks rang for."""
    return Rings()


@pytest.fixture
async def ctx(database: Database, sim: Running, clock: SetClock, rings: Rings) -> AsyncIterator[Context]:
    """A task's context on real parts: the real client against the simulator, a real database."""
    keys = Keyring([secrets.token_bytes(32)])
    application = Application(
        id=new_id(), client_id=CLIENT_ID, api_uri=sim.url, api_key="", created_at=clock(), updated_at=clock()
    )
    keys.seal(application, "api_key", API_KEY)
    async with database.writing() as session:
        session.add(application)
    http = open_http(connections=50)
    nylas = NylasClient(
        api_uri=sim.url,
        api_key=API_KEY,
        client_id=CLIENT_ID,
        http=http,
        in_flight=asyncio.Semaphore(50),
        now=clock,
        deadline=timedelta(seconds=4),
        attempts=1,
    )
    observer = Observer(patience_each=HURRY)
    yield Context(application.id, database, nylas, keys, rings, clock, lambda: 0.5, observer=observer)
    await http.aclose()


def another_worker(ctx: Context) -> Context:
    """The context of a second process: the same database and clock, nothing else shared."""
    return replace(ctx, bulk=asyncio.Semaphore(4), observer=Observer(patience_each=HURRY))


@pytest.fixture
def python() -> str:
    """The interpreter that runs the tests."""
    return sys.executable
