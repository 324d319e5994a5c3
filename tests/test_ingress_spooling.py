"""A webhook need not wait for whoever writes to SQLite: it is kept in the spool, answered, and in the database soon."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from ingress import intake as intakes
from ingress import spooling as spoolings
from ingress.intake import Intake, NotStored
from ingress.spooling import Spooling
from models.arrivals import Arrival
from models.database import Database
from models.spool import Spool
from nylas_api import sign
from tests.conftest import WEBHOOK_SECRET
from tests.databases import sqlite_file
from tests.front import inbox, installed, only_sqlite, served, spooled, without_database

__all__ = ["installed", "without_database"]

pytestmark = only_sqlite


async def delivered(web: httpx.AsyncClient, event_id: str) -> int:
    """Deliver a notification as Nylas does; tell the status of the answer."""
    body = json.dumps({"type": "grant.expired", "id": event_id, "data": {"object": {"grant_id": "g1"}}}).encode()
    signed = {"X-Nylas-Signature": sign(WEBHOOK_SECRET, body)}
    return (await web.post("/webhooks/nylas", content=body, headers=signed)).status_code


@contextmanager
def another_writes(database: Database) -> Iterator[None]:
    """Let another program hold the lock of the file."""
    with closing(sqlite3.connect(sqlite_file(database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def in_the_spool(database: Database) -> list[str]:
    """The keys of what is in the spool."""
    return [each.key for each in await spooled(database)]


async def until_stored(database: Database, number: int, *, left: Sequence[str] = ()) -> None:
    """Wait until so many events are in the database, and only those that are `left` in the spool."""
    deadline = time.monotonic() + 10
    while (found := (len(await inbox(database)), await in_the_spool(database))) != (number, list(left)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


class Line:
    """An intake with its spool, without a web around it."""

    def __init__(self, database: Database, url: str, patience: timedelta) -> None:
        self.rung: list[UUID] = []
        self.spooling = Spooling(Spool(sqlite_file(database)))
        self.front = Database(url, patience=patience, first=True)
        self.intake = Intake(self.front, ring=lambda _kind, ids: self.rung.extend(ids), spooling=self.spooling)
        self._loops: list[asyncio.Task[None]] = []

    def go_on(self) -> None:
        """Store what comes, and bring in what is left."""
        for loop in (self.intake.run(), self.spooling.run(self.intake.store)):
            self._loops.append(asyncio.create_task(loop))

    async def die(self) -> None:
        """Stop at once, wherever it is."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def keep(self, arrivals: Sequence[Arrival]) -> None:
        """Take webhooks; they are answered."""
        taken = await asyncio.gather(*(self.intake.store(each, soon=True) for each in arrivals))
        assert taken == [True] * len(arrivals)


@asynccontextmanager
async def in_line(database: Database, url: str, *, patience: timedelta = timedelta(seconds=30)) -> AsyncIterator[Line]:
    """Run an intake, which waits so long for a turn; what is in its line at the end is dropped."""
    line = Line(database, url, patience)
    line.go_on()
    yield line
    await line.die()
    await line.spooling.close()
    await line.front.close()


async def left_by_another(database: Database, arrivals: Sequence[Arrival]) -> None:
    """Leave these in the spool, as a web does that dies."""
    spool = Spool(sqlite_file(database))
    await spool.keep(arrivals)
    await spool.close()


async def refuse(database: Database, which: str) -> None:
    """Let the database refuse some events."""
    async with database.writing() as session:
        raising = "SELECT RAISE(ABORT, 'refused')"
        await session.execute(text(f"CREATE TRIGGER refuses BEFORE INSERT ON event WHEN {which} BEGIN {raising}; END"))


@pytest.fixture
def arrivals(application_id: UUID) -> list[Arrival]:
    """Three notifications."""
    return [Arrival(application_id, "grant.expired", key, "nylas", b"{}", datetime.now(UTC)) for key in "abc"]


async def test_who_comes_while_another_writes_is_answered_before_they_have_done(
    installed: None, database: Database, valkey: str
) -> None:
    async with served(valkey) as web:
        with another_writes(database):
            began = time.monotonic()
            answers = await asyncio.gather(*(delivered(web, str(number)) for number in range(20)))
            assert time.monotonic() - began < 1
            assert answers == [200] * 20
            assert len(await in_the_spool(database)) == 20
            assert await inbox(database) == []
        await until_stored(database, 20)


async def test_each_who_comes_is_kept_however_long_they_write(installed: None, database: Database, valkey: str) -> None:
    """Nor does it matter that web has given its own transaction up meanwhile, after three seconds."""
    async with served(valkey) as web:
        with another_writes(database):
            for number in range(20):
                assert await delivered(web, str(number)) == 200
                await asyncio.sleep(0.2)
        await until_stored(database, 20)
        assert await delivered(web, "afterwards") == 200
    assert len(await inbox(database)) == 21


async def test_who_comes_just_before_web_gives_its_transaction_up_goes_on_waiting_and_is_kept(
    database: Database, database_url: str, arrivals: list[Arrival], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoolings, "SOON", 0.4)
    async with in_line(database, database_url, patience=timedelta(seconds=1.2)) as line:
        with another_writes(database), capture_logs() as logged:
            await line.keep(arrivals[:1])
            await asyncio.sleep(0.6)  # 0.2 s are left, and then 1.2 s more
            await line.keep(arrivals[1:])
            assert sorted(await in_the_spool(database)) == ["a", "b", "c"]
            assert "intake.not_stored" not in [each["event"] for each in logged]  # nobody was refused
        await until_stored(database, 3)
        assert sorted(line.rung) == sorted(each.id for each in arrivals)


async def test_without_a_spool_who_waits_is_refused_when_the_lock_did_not_come_twice(
    database: Database, database_url: str, arrivals: list[Arrival]
) -> None:
    front = Database(database_url, patience=timedelta(seconds=0.1), first=True)
    intake = Intake(front, ring=lambda _kind, _ids: None, patience=60)
    running = asyncio.create_task(intake.run())
    try:
        with another_writes(database), pytest.raises(NotStored):
            await asyncio.wait_for(intake.store(arrivals[0]), 10)
        assert await intake.store(arrivals[1])
    finally:
        running.cancel()
        await front.close()


async def test_who_need_not_wait_is_not_kept_in_the_spool(
    database: Database, database_url: str, arrivals: list[Arrival], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_line(database, database_url) as line:
        monkeypatch.setattr(spoolings, "SOON", 2.0)  # a turn comes sooner also on a machine that is slow
        await line.keep(arrivals)
        assert await in_the_spool(database) == []
    assert len(await inbox(database)) == 3


async def test_what_was_kept_is_rung_for_once_it_is_in_the_database(
    database: Database, database_url: str, arrivals: list[Arrival]
) -> None:
    async with in_line(database, database_url) as line:
        with another_writes(database):
            await line.keep(arrivals)
            assert line.rung == []
        await until_stored(database, 3)
        assert sorted(line.rung) == sorted(each.id for each in arrivals)


async def test_who_wants_to_know_whether_it_was_new_waits_for_the_database(
    database: Database, database_url: str, arrivals: list[Arrival]
) -> None:
    async with in_line(database, database_url) as line:
        with another_writes(database):
            waiting = asyncio.create_task(line.intake.store(arrivals[0]))
            assert await line.intake.store(arrivals[1], soon=True)
            assert not waiting.done()
            assert await in_the_spool(database) == ["b"]
        assert await waiting


async def test_what_a_web_left_that_died_is_brought_in_and_rung_for_by_another(
    database: Database, database_url: str, arrivals: list[Arrival]
) -> None:
    async with in_line(database, database_url) as dies:
        with another_writes(database):
            await dies.keep(arrivals)
            dying = asyncio.create_task(dies.die())
            await asyncio.sleep(0.05)  # it waits in a thread, which ends with the lock of the other
        await dying
    assert await inbox(database) == []
    async with in_line(database, database_url) as line:
        await until_stored(database, 3)
        assert sorted(line.rung) == sorted(each.id for each in arrivals)


async def test_what_is_in_both_is_brought_in_without_effect(
    installed: None, database: Database, arrivals: list[Arrival], valkey: str
) -> None:
    """The web before died between its commit and the spool's."""
    for _ in range(2):
        await left_by_another(database, arrivals)
        async with served(valkey):
            await until_stored(database, 3)
    assert {each.id for each in await inbox(database)} == {each.id for each in arrivals}


async def test_what_the_database_refuses_stays_in_the_spool_and_holds_no_other_up(
    database: Database, database_url: str, arrivals: list[Arrival]
) -> None:
    """Whoever was answered from the spool was told that it is stored, so it is tried again and again."""
    await refuse(database, "NEW.key = 'a'")
    async with in_line(database, database_url) as line:
        with another_writes(database):
            await line.keep(arrivals)
        await until_stored(database, 2, left=["a"])
        async with database.writing() as session:
            await session.execute(text("DROP TRIGGER refuses"))
        await until_stored(database, 3)
        assert sorted(line.rung) == sorted(each.id for each in arrivals)


@pytest.mark.parametrize("limit", ["WAITING_AT_MOST", "WAITING_BYTES_AT_MOST"])
async def test_who_comes_when_too_much_waits_is_told_to_come_again(
    database: Database, database_url: str, arrivals: list[Arrival], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Those in the spool wait as well: what a web holds in its memory has an end."""
    most = 2 if limit == "WAITING_AT_MOST" else sum(len(each.raw) for each in arrivals[:2])
    monkeypatch.setattr(intakes, limit, most)
    async with in_line(database, database_url) as line:
        with another_writes(database):
            await line.keep(arrivals[:2])
            with pytest.raises(NotStored):
                await line.intake.store(arrivals[2], soon=True)
        await until_stored(database, 2)
        assert await line.intake.store(arrivals[2])


async def test_a_web_that_stops_brings_in_what_it_has_kept(installed: None, database: Database, valkey: str) -> None:
    async with served(valkey) as web:
        with another_writes(database):
            assert await delivered(web, "a") == 200
    assert len(await inbox(database)) == 1
    assert await in_the_spool(database) == []
