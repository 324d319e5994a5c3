"""A crowd: tables with so many rows that the database has a choice how to read them; each test has a copy."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from bench.growth.filling import fill
from models import Application
from models.database import Database
from tasks.context import Context
from tests.databases import fresh_postgres, migrated

GRANTS, DUE = 20_000, 60
WHOSE = UUID(int=7)


async def crowded(url: str) -> None:
    """Fill a migrated database; everything was imported long ago."""
    database, now = Database(url), datetime.now(UTC)
    application = Application(
        id=WHOSE, client_id="crowd", api_uri="u", api_key="eg1.x.y", created_at=now, updated_at=now, imported_at=now
    )
    async with database.writing() as session:
        session.add(application)
    await fill(database, WHOSE, grants=GRANTS, now=now, due=DUE)
    await database.close()


def _apart(work: Coroutine[None, None, None]) -> None:
    with ThreadPoolExecutor(1) as thread:  # this thread may have a loop running
        thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def crowded_sqlite(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with a crowd in it, for each test to copy."""
    file = tmp_path_factory.mktemp("crowd") / "evergrant.db"
    shutil.copyfile(migrated_sqlite, file)
    _apart(crowded(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def crowded_postgres(postgres: str) -> str:
    """The URL of a PostgreSQL database with a crowd in it, for each test to copy."""
    made = []

    async def make() -> None:
        made.append(url := await fresh_postgres(postgres))
        await migrated(url)
        await crowded(url)

    _apart(make())
    return made[0]


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a copy of the crowd."""
    if request.param == "sqlite":
        file = tmp_path / "evergrant.db"
        shutil.copyfile(request.getfixturevalue("crowded_sqlite"), file)
        yield f"sqlite:///{file}"
        return
    crowd: str = request.getfixturevalue("crowded_postgres")
    server, _, template = crowd.rpartition("/")
    copy = f"copy_{secrets.token_hex(8)}"
    connection = await asyncpg.connect(request.getfixturevalue("postgres"))
    await connection.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{template}" STRATEGY file_copy')
    yield f"{server}/{copy}"
    await connection.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')
    await connection.close()


@pytest.fixture
async def crowd(ctx: Context) -> Context:
    """A worker of the application that has the crowd."""
    return replace(ctx, application_id=WHOSE)
