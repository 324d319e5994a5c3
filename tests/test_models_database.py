"""The way to the database: pragmas, writers in two processes, compare and set, and the URLs that we take."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from lifecycle import GrantStatus
from models import Application, Grant
from models.columns import new_id
from models.database import Database, UnsupportedDatabase, async_url
from models.migrations.run import upgrade

ROOT = Path(__file__).parent.parent
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

# Reads a number from a row, adds one and writes it back, a hundred times.
COUNTING = """
import asyncio, sys
from models import Grant
from models.database import Database

async def main(url: str) -> None:
    database = Database(url)
    await database.is_there()
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        async with database.writing() as session:
            grant = await session.get_one(Grant, "g1", with_for_update=True)
            await asyncio.sleep(0)
            grant.name = str(int(grant.name or 0) + 1)
    await database.close()

asyncio.run(main(sys.argv[1]))
"""


async def a_grant(database: Database) -> None:
    """Store the grant `g1`."""
    application = Application(
        id=new_id(), client_id="c", api_uri="u", api_key="eg1.x.y", created_at=NOON, updated_at=NOON
    )
    async with database.writing() as session:
        session.add(application)
        await session.flush()
        session.add(
            Grant(
                id="g1",
                application_id=application.id,
                provider="google",
                status=GrantStatus.VALID,
                as_of=NOON,
                first_seen_at=NOON,
            )
        )


async def rename(database: Database, name: str, grant: Grant | None = None) -> None:
    """Write the grant's name: into the row that somebody read before, or into one read just now."""
    async with database.writing() as session:
        if grant is None:
            grant = await session.get_one(Grant, "g1")
        session.add(grant)
        grant.name = name


async def read(database: Database) -> Grant:
    """Read the grant in a transaction of its own."""
    async with database.reading() as session:
        return await session.get_one(Grant, "g1")


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated SQLite database that waits for another writer a twentieth of a second only."""
    database = Database(f"sqlite:///{tmp_path / 'evergrant.db'}", patience=timedelta(seconds=0.05))
    await upgrade(database)
    yield database
    await database.close()


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
async def test_sqlite_is_opened_to_survive_a_power_cut(sqlite: Database, pragma: str, value: str | int) -> None:
    async with sqlite.reading() as reading, sqlite.writing() as writing:
        for session in (reading, writing):
            assert (await session.execute(text(f"PRAGMA {pragma}"))).scalar_one() == value


@pytest.mark.long
async def test_two_processes_that_count_in_one_row_lose_nothing(database: Database, database_url: str) -> None:
    """Each reads, adds one and writes, a hundred times: without a lock SQLite would keep a fraction of the 200."""
    await a_grant(database)
    both = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", COUNTING, database_url),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout
        assert await process.stdout.readline() == b"ready\n"
    await asyncio.gather(*(process.communicate(b"go\n") for process in both))

    assert [process.returncode for process in both] == [0, 0]
    counted = await read(database)
    assert (counted.name, counted.version) == ("200", 201)


async def test_of_two_that_read_the_same_grant_only_the_first_may_write(database: Database) -> None:
    await a_grant(database)
    one, other = await read(database), await read(database)

    await rename(database, "first", one)
    with pytest.raises(StaleDataError):
        await rename(database, "second", other)

    now = await read(database)
    assert (now.name, now.version) == ("first", 2)


async def test_a_write_of_another_hand_is_noticed_as_well(database: Database) -> None:
    """Whoever raises the version in SQL, without our model, invalidates what we read."""
    await a_grant(database)
    grant = await read(database)
    async with database.writing() as session:
        await session.execute(text('UPDATE "grant" SET version = version + 1'))
    with pytest.raises(StaleDataError):
        await rename(database, "late", grant)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_of_two_open_transactions_only_the_first_may_write(database: Database) -> None:
    """SQLite has no such pair: its second writer waits before it reads."""
    await a_grant(database)

    async def overtaken() -> None:
        async with database.writing() as session:
            grant = await session.get_one(Grant, "g1")
            await rename(database, "first")
            grant.name = "second"

    with pytest.raises(StaleDataError):
        await overtaken()
    assert (await read(database)).name == "first"


async def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    """It sees what was committed before."""
    await a_grant(database)
    async with asyncio.timeout(2), database.writing() as session:
        (await session.get_one(Grant, "g1")).name = "not yet"
        await session.flush()
        assert (await read(database)).name is None
    assert (await read(database)).name == "not yet"


async def test_a_writer_does_not_wait_for_a_reader(database: Database) -> None:
    await a_grant(database)
    async with asyncio.timeout(2), database.reading() as session:
        await session.execute(select(Grant))
        await rename(database, "meanwhile")
    assert (await read(database)).name == "meanwhile"


async def test_a_writer_waits_for_another_no_longer_than_its_patience(sqlite: Database) -> None:
    await a_grant(sqlite)
    async with asyncio.timeout(5), sqlite.writing() as session:
        await session.get_one(Grant, "g1")
        with pytest.raises(OperationalError, match="locked"):
            await rename(sqlite, "impatient")


async def test_a_writer_that_fails_leaves_nothing(database: Database) -> None:
    await a_grant(database)

    async def fails_half_way() -> None:
        async with database.writing() as session:
            (await session.get_one(Grant, "g1")).name = "half"
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails_half_way()
    assert (await read(database)).name is None


async def test_a_row_that_belongs_to_nothing_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.writing() as session:
            session.add(
                Grant(
                    id="g1",
                    application_id=new_id(),
                    provider="google",
                    status=GrantStatus.VALID,
                    as_of=NOON,
                    first_seen_at=NOON,
                )
            )


async def test_a_database_says_that_it_is_there(database: Database) -> None:
    assert await database.is_there()


async def test_times_come_back_in_utc_to_the_microsecond(database: Database) -> None:
    await a_grant(database)
    moment = datetime(2026, 6, 1, 2, 3, 4, 567891, tzinfo=UTC)
    async with database.writing() as session:
        (await session.get_one(Grant, "g1")).expired_at = moment
    assert (await read(database)).expired_at == moment


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///evergrant.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@host/name", "postgresql+asyncpg"),
        ("postgres://u:p@host/name", "postgresql+asyncpg"),
        ("postgresql+psycopg://u:p@host/name", "postgresql+asyncpg"),
    ],
)
def test_a_url_gets_the_driver_that_we_use(url: str, driver: str) -> None:
    assert async_url(url).drivername == driver
    assert async_url(url).database == url.rpartition("/")[2]


@pytest.mark.parametrize("url", ["mysql://u:hunter2@host/name", "hunter2", "", "sqlite", "oracle+x://u:hunter2@host"])
def test_another_database_is_refused_without_a_word_of_its_password(url: str) -> None:
    with pytest.raises(UnsupportedDatabase) as refused:
        async_url(url)
    assert "postgresql://" in str(refused.value)
    assert "hunter2" not in f"{refused.value} {refused.value.__cause__}"


async def test_a_file_that_another_just_makes_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself waits for no lock where a file is to be written ahead of (WAL): it refuses at once."""
    file = tmp_path / "evergrant.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused: list[str] = []

    def let_go(details: RetryDetails) -> None:
        refused.append(str(details.caused_by))
        other.close()

    database, hooks = Database(f"sqlite:///{file}"), get_on_retry_hooks()
    set_on_retry_hooks([let_go])
    try:
        assert await database.is_there()
    finally:
        set_on_retry_hooks(hooks)
        await database.close()
    assert refused == ["database is locked"]
