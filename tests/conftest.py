"""What the tests stand on: a real Valkey, SQLite and PostgreSQL, the simulator over a socket, and a clock to set."""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import certifi
import httpx
import pytest
from redis import Redis
from sqlmodel import SQLModel

from ingress.embedded import start_postgres, start_valkey
from models import Application
from models.columns import new_id
from models.database import Database
from models.migrations import upgrade
from models.sealing import Keyring
from nylas_api import NylasClient, open_http
from simulator import Running, start
from tasks.context import Context
from tasks.observing import Observer

T = TypeVar("T")
HURRY = 0.0005  # seconds that a sweep of Nylas' list waits for each look that is wanted: a twentieth of the usual
API_KEY = "nyk_test_key"
CLIENT_ID = "11111111-2222-4333-8444-555555555555"
WEBHOOK_SECRET = "webhook-secret-of-the-tests"


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL: `EVERGRANT_TEST_PG_URL`, or one of this test process' own."""
    if given := os.environ.get("EVERGRANT_TEST_PG_URL"):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="evergrant-postgres-") as folder:
        Path(folder).chmod(0o755)
        server, url = start_postgres(Path(folder) / "data")
        _run(_spare_the_disk(url))
        yield url
        server.stop()


def _run(work: Coroutine[None, None, T]) -> T:
    with ThreadPoolExecutor(1) as thread:  # this thread may have a loop running
        return thread.submit(asyncio.run, work).result()


async def _spare_the_disk(url: str) -> None:
    connection = await asyncpg.connect(url)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        await connection.execute(f"ALTER SYSTEM SET {setting} = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def fresh_postgres(postgres: str) -> str:
    """Make an empty database on the server; return its URL."""
    url = _beside(postgres, f"test_{secrets.token_hex(8)}")
    async with _connected(postgres) as connection:
        await connection.execute(f'CREATE DATABASE "{url.rpartition("/")[2]}"')
    return url


def _beside(server: str, name: str) -> str:
    return server.rpartition("/")[0] + f"/{name}"


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def migrated(url: str) -> None:
    """Bring an empty database to the newest revision."""
    database = Database(url)
    await upgrade(database)
    await database.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database, for each test to copy."""
    file = tmp_path_factory.mktemp("migrated") / "evergrant.db"
    _run(migrated(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str) -> str:
    """The URL of a migrated PostgreSQL database that one test after the other has for itself."""

    async def make() -> str:
        url = await fresh_postgres(postgres)
        await migrated(url)
        return url

    return _run(make())


_OTHERS = "datname = current_database() AND pid != pg_backend_pid()"
_EMPTY = "; ".join(
    [
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OTHERS}",  # noqa: S608 - no part of it is a stranger's
        "SET session_replication_role = replica",  # so the order of the tables does not matter
        *(f'DELETE FROM "{table}"' for table in SQLModel.metadata.tables),  # noqa: S608 - as above
    ]
)


@asynccontextmanager
async def _emptied_after(url: str) -> AsyncIterator[str]:
    """Yield it; leave no row and no connection behind. Ten times as quick as a database for each test."""
    async with _connected(url) as connection:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
        yield url
        await connection.execute(_EMPTY)
        await connection.execute("UPDATE alembic_version SET version_num = $1", revision)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database without rows, on each of the two; if the test asks for `database`, it has tables."""
    has_tables = "database" in request.fixturenames
    if request.param == "sqlite" and has_tables:
        yield f"sqlite:///{_a_copy_of(request.getfixturevalue('migrated_sqlite'))}"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'evergrant.db'}"
    elif has_tables:
        async with _emptied_after(request.getfixturevalue("migrated_postgres")) as url:
            yield url
    else:
        yield await fresh_postgres(request.getfixturevalue("postgres"))


def _a_copy_of(migrated: Path) -> Path:
    """Put a new copy in the place of the test's before."""
    for old in migrated.parent.glob("copy.db*"):
        old.unlink()
    return Path(shutil.copyfile(migrated, migrated.with_name("copy.db")))


@pytest.fixture(scope="session")
def databases() -> dict[str, Database]:
    """By URL, what tests use one after the other: SQLAlchemy keeps what it has compiled, a sixth of a test's time."""
    return {}


@pytest.fixture
async def database(database_url: str, databases: dict[str, Database]) -> AsyncIterator[Database]:
    """A migrated database, on each of the two."""
    database = databases.setdefault(database_url, Database(database_url))
    yield database
    await database.close()


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
        deadline=timedelta(seconds=2),
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
