"""The spool keeps what came until it is in the database: through a kill, in its order, for several fronts at once."""

import asyncio
import multiprocessing
import os
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from models import Outcome
from models import spool as spools
from models.arrivals import MOST_AT_ONCE, Arrival
from models.spool import Spool

CAME = datetime(2026, 11, 1, 12, 30, 0, 123456, UTC)
APPLICATION = UUID(int=7)


def arrival(key: str, raw: bytes = b"{}") -> Arrival:
    """A notification that has just come."""
    return Arrival(APPLICATION, "grant.expired", key, "nylas", raw, CAME)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database lies, whose spool it is."""
    return tmp_path / "some.db"


@pytest.fixture
async def spool(file: Path) -> AsyncIterator[Spool]:
    """A spool as web has it."""
    spool = Spool(file)
    yield spool
    await spool.close()


async def again(file: Path) -> list[Arrival]:
    """What a process finds that opens it anew."""
    other = Spool(file)
    try:
        return list(await other.left())
    finally:
        await other.close()


async def test_what_is_kept_comes_out_as_it_went_in(spool: Spool, file: Path) -> None:
    full = Arrival(
        APPLICATION,
        "grant.expired",
        "nylas:1",
        "nylas",
        b"\xff\x00 no text \xed\xa0\x80",
        CAME,
        grant_id="g1",
        occurred_at=CAME - timedelta(minutes=1),
    )
    closed = arrival("nylas:2", b"[" * 100_000)
    closed.close(Outcome.SET_ASIDE, "it can't be read as a notification: RecursionError")
    await spool.keep([full, closed])
    assert await again(file) == [full, closed]


async def test_what_came_first_comes_out_first_and_not_all_at_once(spool: Spool) -> None:
    came = [arrival(str(number)) for number in range(MOST_AT_ONCE + 1)]
    await spool.keep(reversed(came))
    assert list(await spool.left()) == came[:0:-1]


async def test_of_large_ones_only_so_many_come_out_as_fit_into_memory(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "MOST_BYTES_AT_ONCE", 1000)
    came = [arrival(key, b"x" * 400) for key in "abcde"]
    await spool.keep(came)
    assert list(await spool.left()) == came[:3]
    await spool.forget(each.id for each in came[:3])
    assert list(await spool.left()) == came[3:]


async def test_what_is_forgotten_is_gone_and_nothing_else(spool: Spool, file: Path) -> None:
    came = [arrival(key) for key in "abc"]
    await spool.keep(came)
    await spool.forget([came[0].id, came[2].id, UUID(int=1)])
    assert await again(file) == [came[1]]


async def test_what_is_kept_twice_is_kept_once(spool: Spool) -> None:
    came = arrival("a")
    await spool.keep([came])
    await spool.keep([came])
    assert list(await spool.left()) == [came]


async def test_several_web_fronts_have_one_spool(spool: Spool, file: Path) -> None:
    other = Spool(file)
    came = [[arrival(f"{who}-{number}") for number in range(50)] for who in range(2)]
    await asyncio.gather(*(one.keep([each]) for one, mine in zip((spool, other), came, strict=True) for each in mine))
    await other.close()
    assert {each.key for each in await spool.left()} == {each.key for mine in came for each in mine}


def keeps_and_is_killed(file: Path) -> None:
    async def keep() -> None:
        await Spool(file).keep([arrival("kept")])
        os.kill(os.getpid(), 9)

    asyncio.run(keep())


async def test_what_was_kept_outlives_a_kill(file: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=keeps_and_is_killed, args=(file,))
    process.start()
    await asyncio.to_thread(process.join, 30)
    assert process.exitcode == -9
    assert [each.key for each in await again(file)] == ["kept"]


async def test_it_is_opened_to_survive_a_power_cut_and_is_read_by_nobody_else(spool: Spool, file: Path) -> None:
    await spool.keep([arrival("a")])
    modes = "SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous"
    assert await spool._do(lambda opened: opened.execute(modes).fetchall()) == [("wal", 2)]
    assert file.with_name("some.db-spool").stat().st_mode & 0o777 == 0o600


async def test_what_can_not_be_kept_is_said_and_may_be_tried_again(spool: Spool, file: Path) -> None:
    in_the_way = file.with_name("some.db-spool")
    in_the_way.mkdir()
    with pytest.raises((OSError, sqlite3.Error)):
        await spool.keep([arrival("a")])
    in_the_way.rmdir()
    await spool.keep([arrival("a")])
    assert [each.key for each in await spool.left()] == ["a"]
