"""A task that is cancelled while it writes to SQLite: whatever becomes of it, it keeps nobody else out."""

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from models.database import Database

MOMENTS = 80
STEP = 0.0001  # seconds; a transaction of these takes some 5 ms


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A SQLite file with a table in it, in the mode in which whoever migrates it leaves it."""
    path = tmp_path / "counters.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE counter (id INTEGER PRIMARY KEY, count INTEGER)")
        connection.executemany("INSERT INTO counter VALUES (?, 0)", [(number,) for number in range(300)])
        connection.commit()
    return path


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """The same file, as we open it."""
    database = Database(f"sqlite:///{path}")
    yield database
    await database.close()


@pytest.fixture
def _nothing_is_collected() -> Iterator[None]:
    """What refers to itself, as an exception and its frames do, stays as long as the garbage collector lets it."""
    gc.disable()
    yield
    gc.enable()


def can_write(path: Path) -> bool:
    """Whether another program may write to the file."""
    with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


async def count(database: Database) -> None:
    """Write, and read what was written."""
    async with database.writing() as session:
        assert (await session.execute(text("UPDATE counter SET count = count + 1 RETURNING id"))).all()
        await session.execute(text("UPDATE counter SET count = count + 1 WHERE id = 3"))


@pytest.mark.usefixtures("_nothing_is_collected")
async def test_a_writer_that_is_cancelled_at_any_moment_keeps_nobody_out(database: Database, path: Path) -> None:
    ends = []
    for moment in range(MOMENTS):
        writing = asyncio.create_task(count(database))
        await asyncio.wait([writing], timeout=moment * STEP)
        writing.cancel()
        ends += await asyncio.gather(writing, return_exceptions=True)  # kept, and with them all that they refer to
        assert await asyncio.to_thread(can_write, path), f"cancelled after {moment * STEP * 1_000:.1f} ms"
    assert any(isinstance(end, asyncio.CancelledError) for end in ends)


async def test_a_connection_that_is_closed_while_rows_are_unread_lets_go_of_its_lock(
    database: Database, path: Path
) -> None:
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        opened: Any = raw.driver_connection
        await opened.execute("BEGIN IMMEDIATE")
        unread = await opened.execute("UPDATE counter SET count = count + 1 RETURNING id")
        await opened.close()
        assert can_write(path)
        assert unread is not None
        await connection.invalidate()


async def test_a_connection_that_is_stopped_while_it_is_closed_still_comes_to_its_end(database: Database) -> None:
    """That is how SQLAlchemy closes it for a task that is cancelled twice: a program that ends waits for both."""
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        opened: Any = raw.driver_connection
        closing_it = asyncio.create_task(opened.close())
        await asyncio.sleep(0)
        opened.stop()
        closing_it.cancel()
        ended, waits = await asyncio.wait([closing_it], timeout=5)
        assert ended
        assert not waits
        await connection.invalidate()
