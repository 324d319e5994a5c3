"""The webhook endpoint when what it stands on fails: 503 and never 500, never a lost row, and well again by itself."""

import asyncio
import contextlib
import gc
import json
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import Pool, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from ingress.embedded import start_valkey
from ingress.intake import Intake
from models import Event
from models.arrivals import Arrival
from models.database import Database
from nylas_api import sign
from tests.conftest import WEBHOOK_SECRET
from tests.databases import fresh_postgres, migrated, sqlite_file
from tests.front import installed, only_sqlite, served, without_database

__all__ = ["installed", "without_database"]


async def send(http: httpx.AsyncClient, event_id: str, *, size: int = 0) -> int:
    """Deliver a notification as Nylas does; tell the status of the answer."""
    about = {"grant_id": "g1", "padding": "x" * size}
    body = json.dumps({"type": "grant.expired", "id": event_id, "data": {"object": about}}).encode()
    headers = {"X-Nylas-Signature": sign(WEBHOOK_SECRET, body)}
    return (await http.post("/webhooks/nylas", content=body, headers=headers)).status_code


async def timed(http: httpx.AsyncClient, event_id: str) -> tuple[int, float]:
    """Deliver; tell the status, and how many seconds it took."""
    began = time.monotonic()
    return await send(http, event_id), time.monotonic() - began


async def comes_back(http: httpx.AsyncClient, *, seconds: float) -> None:
    """Wait until notifications are taken again, by the same process."""
    async with asyncio.timeout(seconds):
        while await send(http, secrets.token_hex(4)) != 200:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)


async def stored(database: Database) -> int:
    """Count the inbox by a connection of our own."""
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Event)) or 0


@pytest.fixture
def no_spool(database: Database) -> Iterator[None]:
    """Let nothing be kept in the spool, as where the disk is full."""
    in_the_way = sqlite_file(database).with_name(f"{sqlite_file(database).name}-spool")
    in_the_way.mkdir()
    yield
    in_the_way.rmdir()


@only_sqlite
async def test_a_locked_database_without_a_spool_is_told_of_in_time_and_holds_nothing_up_afterwards(
    installed: None, no_spool: None, database: Database, valkey: str
) -> None:
    """Nylas waits for ten seconds; whoever is told 503 after two comes again."""
    async with served(valkey) as web:
        other = sqlite3.connect(sqlite_file(database), isolation_level=None)
        with contextlib.closing(other):
            other.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(*(timed(web, f"locked-{number}") for number in range(20)))
            assert {status for status, _ in answers} == {503}
            assert all(1.5 < took < 2.8 for _, took in answers)
            await asyncio.sleep(1)
            other.execute("ROLLBACK")
        await comes_back(web, seconds=3)
        assert {await send(web, f"locked-{number}") for number in range(20)} == {200}
    assert await stored(database) == 21


@only_sqlite
async def test_who_comes_while_another_writes_goes_with_those_who_wait_already(
    database: Database, database_url: str, application_id: UUID
) -> None:
    """They would wait for two transactions else: for that one, and for the next that comes between."""
    rung: list[Sequence[UUID]] = []
    front = Database(database_url, first=True)
    intake = Intake(front, ring=lambda _kind, ids: rung.append(ids))
    running = asyncio.create_task(intake.run())
    events = [Arrival(application_id, "grant.expired", key, "nylas", b"{}", datetime.now(UTC)) for key in "abc"]
    async with database.writing() as session:
        await session.execute(select(Event.id))
        storing = []
        for each in events:
            storing.append(asyncio.create_task(intake.store(each)))
            await asyncio.sleep(0.1)
    assert await asyncio.gather(*storing) == [True, True, True]
    assert [set(ids) for ids in rung] == [{each.id for each in events}]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await front.close()


async def test_a_postgresql_that_is_away_is_waited_for(
    without_database: None, postgres: str, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await fresh_postgres(postgres)
    name = url.rpartition("/")[2]
    monkeypatch.setenv("EVERGRANT_DATABASE_URL", url)
    await migrated(url)
    database = Database(url, pool_size=1)
    admin = await asyncpg.connect(postgres)
    async with served(valkey) as web:
        assert await send(web, "before") == 200
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        answers = [await timed(web, f"away-{number}") for number in range(3)]
        connected = await web.get("/connect/google")
        assert {status for status, _ in answers} == {503}
        assert all(took < 2.8 for _, took in answers)
        assert connected.status_code == 503

        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert await send(web, "after") == 200
    assert await stored(database) == 2
    await admin.close()
    await database.close()


class Wire:
    """A wire to a port of this machine. What was on it when it was cut hangs without a word; what comes later flows."""

    def __init__(self, port: int) -> None:
        self._port, self._pumps, self._ends = port, set[asyncio.Task[None]](), list[asyncio.StreamWriter]()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        behind, to_behind = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends += [writer, to_behind]
        self._pumps |= {asyncio.create_task(_pump(*ends)) for ends in ((reader, to_behind), (behind, writer))}

    def cut(self) -> None:
        """Forget all connections, as a switch does that is started again: neither end hears of it."""
        for pump in self._pumps:
            pump.cancel()

    async def close(self) -> None:
        """Let go."""
        self.cut()
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._pumps, *(end.wait_closed() for end in self._ends), return_exceptions=True)


@asynccontextmanager
async def _wire(port: int) -> AsyncIterator[tuple[Wire, int]]:
    """A wire to that port, and the port at its near end."""
    wire = Wire(port)
    server = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
    try:
        yield wire, server.sockets[0].getsockname()[1]
    finally:
        await wire.close()
        server.close()
        await server.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()


@pytest.mark.long
async def test_connections_to_postgresql_that_hang_are_given_up(
    without_database: None, postgres: str, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server fails over, or the network forgets a connection: new ones work, and so must we."""
    url = make_url(await fresh_postgres(postgres))
    async with _wire(url.port or 5432) as (wire, port):
        near = url.set(port=port).render_as_string(hide_password=False)
        monkeypatch.setenv("EVERGRANT_DATABASE_URL", near)
        await migrated(near)
        async with served(valkey) as web:
            assert await send(web, "before") == 200
            wire.cut()
            status, took = await timed(web, "hangs")
            assert status == 503
            assert took < 2.8
            await comes_back(web, seconds=15)


class Limit:
    """How many pages a SQLite file may have, told to each connection as it is taken from its pool."""

    def __init__(self) -> None:
        self.pages = 1_000_000

    def __call__(self, connection: DBAPIConnection, _record: object, _proxy: object) -> None:
        """Tell it; SQLite keeps to it as to the end of the disk."""
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count = {self.pages}")
        cursor.close()


@pytest.fixture
def limit() -> AsyncIterator[Limit]:
    """The limit that holds for all pools opened in this process."""
    limit = Limit()
    event.listen(Pool, "checkout", limit)
    yield limit
    event.remove(Pool, "checkout", limit)


@only_sqlite
async def test_a_full_disk_is_told_of_and_forgotten_when_there_is_room(
    installed: None, no_spool: None, database: Database, limit: Limit, valkey: str
) -> None:
    """`max_page_count` is SQLite's own way to say "disk full" with room left for the others here."""
    async with served(valkey) as web:
        assert await send(web, "fits", size=10_000) == 200
        limit.pages = 1  # as many as it has
        answers = await asyncio.gather(*(send(web, f"full-{number}", size=200_000) for number in range(5)))
        assert answers == [503] * 5
        assert await stored(database) == 1

        limit.pages = 1_000_000
        assert [await send(web, f"full-{number}", size=200_000) for number in range(5)] == [200] * 5
    assert await stored(database) == 6


async def fifty(web: httpx.AsyncClient) -> None:
    """Deliver fifty: each is taken, and Redis is waited for by none (a connection attempt alone is 500 ms or more).

    Looking through all that a long run of tests has left, for garbage, takes as long; web freezes its own.
    """
    gc.disable()
    try:
        answers = [await timed(web, secrets.token_hex(8)) for _ in range(50)]
    finally:
        gc.enable()
    assert {status for status, _ in answers} == {200}
    assert max(took for _, took in answers) < 0.25


@pytest.mark.long
@only_sqlite
async def test_nobody_waits_for_a_valkey_that_hangs_or_that_is_dead(
    installed: None, database: Database, tmp_path: Path
) -> None:
    server, url = start_valkey(tmp_path / "valkey", keep=False)
    try:
        async with served(url) as web:
            await fifty(web)
            async with Redis.from_url(url) as redis:
                await redis.execute_command("CLIENT PAUSE", 60_000, "ALL")
            await fifty(web)
            server.stop()
            await fifty(web)
    finally:
        server.stop()
    assert await stored(database) == 150


@only_sqlite
async def test_the_web_front_also_starts_while_valkey_is_dead(installed: None, database: Database) -> None:
    async with served("redis://127.0.0.1:1/0") as web:
        await fifty(web)
    assert await stored(database) == 50
