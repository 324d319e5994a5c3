"""SQLite's log is written into the file beside the writers, and none of them waits for that."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from models import checkpoints
from models.checkpoints import LONG, Checkpoints
from models.database import Database
from tests.stories import until

PAGE = 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "some.db"


@pytest.fixture
async def written(file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database with one table, whose log is not written into the file unless a test says when."""
    monkeypatch.setattr(checkpoints, "EVERY", 3600)
    database = Database(f"sqlite:///{file}")
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE thing (id INTEGER PRIMARY KEY, what BLOB)"))
    yield database
    await database.close()


async def fill(database: Database, pages: int) -> None:
    """Commit so many pages, one by one."""
    for _ in range(pages):
        async with database.writing() as session:
            await session.execute(text("INSERT INTO thing (what) VALUES (zeroblob(4000))"))


def pages_of(file: Path) -> int:
    """How many pages the file itself has."""
    return file.stat().st_size // PAGE


def log_of(file: Path) -> int:
    """How many pages long the log has been."""
    return pages_of(file.with_name(f"{file.name}-wal"))


async def test_no_commit_writes_a_log_of_usual_length_into_the_file(written: Database, file: Path) -> None:
    before = pages_of(file)
    await fill(written, LONG // 2)
    assert log_of(file) > LONG
    assert pages_of(file) == before


async def test_what_was_committed_is_soon_in_the_file(
    written: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(written, 50)
    assert pages_of(file) < 50
    monkeypatch.setattr(checkpoints, "EVERY", 0.01)
    other = Database(f"sqlite:///{file}")
    await fill(other, 1)
    await until(lambda: pages_of(file) >= 50)
    await other.close()


async def test_a_long_log_begins_anew_though_others_have_committed_meanwhile(
    written: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        nonlocal turns
        await fill(written, 1)
        turns += 1
        yield

    await fill(written, LONG // 2)
    monkeypatch.setattr(checkpoints, "EVERY", 0)
    some = Checkpoints(file, turn)
    some.wanted()
    await until(lambda: turns == 1)
    await some.close()
    long = log_of(file)
    await fill(written, 20)
    assert log_of(file) == long


async def test_what_another_process_has_just_written_is_not_written_again(
    written: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(written, 50)
    before = pages_of(file)
    monkeypatch.setattr(checkpoints, "EVERY", 0.2)
    other = Checkpoints(file, nullcontext)
    other.wanted()
    os.utime(file, times=(soon := time.time() + 0.2, soon))
    await asyncio.sleep(0.25)
    await other.close()
    assert pages_of(file) == before


async def test_a_log_that_cannot_be_written_now_stays_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0)
    lost = Checkpoints(tmp_path / "nowhere.db", nullcontext)
    with capture_logs() as logs:
        lost.wanted()
        await until(lambda: bool(logs))
        lost.wanted()
        await until(lambda: len(logs) == 2)
        await lost.close()
    assert {entry["event"] for entry in logs} == {"sqlite.checkpoint_failed"}
