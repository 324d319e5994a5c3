"""How a writer of SQLite holds its lock: without leaving the event loop, but for waiting until it is free."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from models.database import Database
from models.sqlite import is_busy

COUNT = text("UPDATE counter SET count = count + 1 RETURNING count")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A SQLite file with a number in it."""
    path = tmp_path / "counter.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE counter (count INTEGER)")
        connection.execute("INSERT INTO counter VALUES (0)")
        connection.commit()
    return path


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """The same file, as we open it."""
    database = Database(f"sqlite:///{path}", patience=timedelta(seconds=1))
    yield database
    await database.close()


class Turns:
    """Counts how often the event loop has come round."""

    def __init__(self) -> None:
        self.count = 0
        self._task = asyncio.create_task(self._go_round())

    async def _go_round(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.count += 1

    async def stop(self) -> None:
        """Count no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    """The turns of this test's loop."""
    turns = Turns()
    yield turns
    await turns.stop()


def committed(path: Path) -> int:
    """The number, as another program reads it."""
    with closing(sqlite3.connect(path)) as other:
        number: int = other.execute("SELECT count FROM counter").fetchone()[0]
        return number


async def test_from_begin_to_commit_nobody_else_in_the_loop_has_a_turn(
    database: Database, path: Path, turns: Turns
) -> None:
    """Each turn may last as long as anything that a worker does, and every other writer would wait for it."""
    async with database.writing() as session:
        await session.execute(COUNT)
        began = turns.count
        for _ in range(5):
            assert (await session.execute(COUNT)).scalar_one()
        await session.commit()
        ended = turns.count
        assert committed(path) == 6
    assert ended == began


async def test_what_reads_leaves_the_loop_to_others(database: Database, turns: Turns) -> None:
    """It may take long, and nobody waits for it; also of a connection that has just written."""
    async with database.writing() as session:
        await session.execute(COUNT)
    async with database.reading() as session:
        before = turns.count
        assert (await session.execute(text("SELECT count FROM counter"))).scalar_one() == 1
        assert turns.count > before


def another_program_holds(path: Path, seconds: float) -> threading.Thread:
    """Take the file's lock, past all turns of ours; a thread lets go of it after so many seconds."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")

    def let_go() -> None:
        threading.Event().wait(seconds)
        connection.execute("UPDATE counter SET count = 100")
        connection.execute("COMMIT")
        connection.close()

    thread = threading.Thread(target=let_go)
    thread.start()
    return thread


async def test_who_waits_for_another_program_s_lock_leaves_the_loop_to_others(
    database: Database, path: Path, turns: Turns
) -> None:
    async with database.writing() as session:  # so that it is connected
        await session.execute(COUNT)
    holder = another_program_holds(path, 0.2)
    before = turns.count
    async with database.writing() as session:
        assert (await session.execute(COUNT)).scalar_one() == 101
    assert turns.count - before > 100
    holder.join()
    assert committed(path) == 101


async def test_who_waits_too_long_for_the_lock_is_told_so_and_can_write_afterwards(
    database: Database, path: Path
) -> None:
    async with database.writing() as session:
        await session.execute(COUNT)
    holder = another_program_holds(path, 1.6)
    with pytest.raises(OperationalError, match="locked"):
        async with database.writing() as session:
            await session.execute(COUNT)
    await asyncio.to_thread(holder.join)
    async with database.writing() as session:
        assert (await session.execute(COUNT)).scalar_one() == 101
    assert committed(path) == 101


def test_an_error_that_is_not_of_sqlite_itself_is_taken_for_no_lock() -> None:
    assert not is_busy(sqlite3.OperationalError("it has no code"))
