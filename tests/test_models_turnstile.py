"""The writers of a SQLite file come in turn, also those of another process that never pauses."""

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import text

from models.database import Database
from models.turnstile import Turnstile

HELD = 0.05


def writes_without_a_pause(url: str, told: Connection) -> None:
    """A worker in a storm: it has the next transaction begun before anybody else has looked."""

    async def write() -> None:
        database = Database(url)

        async def one() -> None:
            async with database.writing() as session:
                await session.execute(text("INSERT INTO told VALUES ('worker')"))
                await asyncio.sleep(HELD)

        told.send("on")
        while not told.poll():
            await one()
        await database.close()

    asyncio.run(write())


@contextmanager
def another_that_writes(url: str) -> Iterator[None]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=writes_without_a_pause, args=(url, theirs))
    process.start()
    try:
        assert ours.recv() == "on"
        time.sleep(4 * HELD)
        yield
    finally:
        ours.send("off")
        process.join(30)


async def test_a_process_that_writes_on_and_on_lets_another_in_after_one_transaction(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/told.db"
    database = Database(url)
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE told (who TEXT)"))
    with another_that_writes(url):
        passed = []
        for _ in range(10):
            async with database.writing() as session:
                count = text("SELECT count(*) FROM told WHERE who = 'worker'")
                passed.append((await session.execute(count)).scalar_one())
                await session.execute(text("INSERT INTO told VALUES ('web')"))
    await database.close()
    between = [later - earlier for earlier, later in itertools.pairwise(passed)]
    assert max(between) <= 2, f"so many of the other's transactions went first: {between}"


async def test_who_gets_no_turn_in_time_leaves_it_to_sqlite(tmp_path: Path) -> None:
    mine, theirs = (Turnstile(tmp_path / "a.db", patience=timedelta(seconds=0.1)) for _ in range(2))
    async with theirs.turn(), mine.turn():
        pass
    async with mine.turn(), asyncio.timeout(5), mine.turn():
        pass
    mine.close()
    theirs.close()


async def test_a_turn_that_is_not_waited_for_any_more_keeps_nobody_out(tmp_path: Path) -> None:
    mine, theirs = (Turnstile(tmp_path / "a.db", patience=timedelta(seconds=30)) for _ in range(2))
    async with theirs.turn():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), mine.turn():
                raise AssertionError("it is theirs")
    async with asyncio.timeout(5), mine.turn():
        pass
    async with asyncio.timeout(5), theirs.turn():
        pass
    mine.close()
    theirs.close()


async def test_who_comes_first_goes_before_those_who_stand_in_line(tmp_path: Path) -> None:
    mine = Turnstile(tmp_path / "a.db", patience=timedelta(seconds=30), first=True)
    others = [Turnstile(tmp_path / "a.db", patience=timedelta(seconds=30)) for _ in range(3)]
    order: list[str] = []

    async def go(turnstile: Turnstile, name: str) -> None:
        async with turnstile.turn():
            order.append(name)

    async with others[0].turn():
        waiting = [asyncio.create_task(go(other, "line")) for other in others[1:]]
        await asyncio.sleep(HELD)
        coming = asyncio.create_task(go(mine, "first"))
        await asyncio.sleep(HELD)
    await asyncio.gather(*waiting, coming)
    assert order == ["first", "line", "line"]
    for turnstile in (mine, *others):
        turnstile.close()


async def test_who_comes_first_again_and_again_keeps_nobody_out(tmp_path: Path) -> None:
    mine = Turnstile(tmp_path / "a.db", patience=timedelta(seconds=30), first=True)
    other = Turnstile(tmp_path / "a.db", patience=timedelta(seconds=30))

    async def flood() -> None:
        while True:
            async with mine.turn():
                await asyncio.sleep(HELD)

    flooding = [asyncio.create_task(flood()) for _ in range(2)]
    await asyncio.sleep(HELD)
    async with asyncio.timeout(20), other.turn():
        pass
    for one in flooding:
        one.cancel()
    await asyncio.gather(*flooding, return_exceptions=True)
    mine.close()
    other.close()


async def test_a_turn_begins_with_begin_and_is_over_with_commit(tmp_path: Path) -> None:
    """Others need not wait while a connection is got ready, or let go of."""
    url = f"sqlite:///{tmp_path}/told.db"
    database, other = Database(url), Turnstile(tmp_path / "told.db", patience=timedelta(seconds=30))
    passed = []
    async with database.writing() as session:
        async with other.turn():
            passed.append("before BEGIN")
        await session.execute(text("CREATE TABLE told (who TEXT)"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), other.turn():
                passed.append("before COMMIT")
        await session.commit()
        async with asyncio.timeout(5), other.turn():
            passed.append("after COMMIT")
    assert passed == ["before BEGIN", "after COMMIT"]
    await database.close()
    other.close()
