"""The databases that tests stand on: SQLite and PostgreSQL, migrated, and empty for each test."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest
from sqlmodel import SQLModel

from ingress.embedded import start_postgres
from models.database import Database
from models.migrations.run import upgrade

T = TypeVar("T")


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


def sqlite_file(database: Database) -> Path:
    """The file of a database that is SQLite's; what belongs to it has names that begin with its name."""
    return Path(str(database.engine.url.database))


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
