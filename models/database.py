"""The way to the database: one async engine, read and write transactions, on SQLite and PostgreSQL alike."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from asyncpg.exceptions import (
    AdminShutdownError,
    CannotConnectNowError,
    CrashShutdownError,
    InterfaceError,
    InternalClientError,
    PostgresConnectionError,
    PostgresError,
)
from sqlalchemy import ExceptionContext, event, text
from sqlalchemy.engine import URL, AdaptedConnection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from models import sqlite
from models.checkpoints import Checkpoints
from models.turnstile import Turnstile

T = TypeVar("T")

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
LOST = (InternalClientError, PostgresConnectionError, AdminShutdownError, CrashShutdownError, CannotConnectNowError)
GOODBYE = 3.0
AWAY = (DBAPIError, NoConnection, OSError)
"""What is raised while the database is away, or refuses. All else that SQLAlchemy raises is a mistake of ours."""
RESTED = 1.0
"""Seconds without use after which a connection to PostgreSQL is asked whether it still stands."""
RETURNED = "evergrant returned"


def is_away(error: BaseException) -> bool:
    """Say whether it is the way to the database that failed, and not what was asked of it."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, NoConnection | ConnectionError)


class UnsupportedDatabase(ValueError):
    """The database URL names something that is neither SQLite nor PostgreSQL."""


def async_url(url: str) -> URL:
    """Read a database URL and put the async driver in. Raises UnsupportedDatabase."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnsupportedDatabase("it can't be read as a URL such as postgresql://user:password@host/name") from error
    driver = DRIVERS.get(parsed.drivername.split("+")[0])
    if driver is None:
        raise UnsupportedDatabase(f"{parsed.drivername!r} is not supported: use sqlite:///… or postgresql://…")
    parsed = parsed.set(drivername=driver)
    if driver.startswith("postgresql") and "sslmode" in parsed.query:  # libpq's name for what asyncpg calls ssl
        sslmode = parsed.query["sslmode"]
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
    return parsed


class Database:
    """One engine for a process' one event loop.

    On SQLite every writer begins with BEGIN IMMEDIATE: a transaction that reads and then writes would otherwise fail
    at once, or lose another's update (the busy timeout does not help there). Writers come in by a turnstile, so that a
    busy worker does not keep the web front out.
    """

    def __init__(
        self, url: str, *, pool_size: int = 10, patience: timedelta = timedelta(seconds=30), first: bool = False
    ) -> None:
        """Prepare the engine; nothing connects yet. Raises UnsupportedDatabase.

        `patience` is how long one statement may take: waiting for another writer on SQLite, running on PostgreSQL. A
        PostgreSQL that says nothing at all, not even that, is given up a little later. On SQLite writers of a database
        that comes `first` need not stand in line.
        """
        parsed = async_url(url)
        self.is_sqlite = parsed.drivername.startswith("sqlite")
        # The one that was used last comes first: it has its statements prepared, and needs not be asked how it is.
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_use_lifo": True}
        seconds = patience.total_seconds()
        if self.is_sqlite:
            options["connect_args"] = {"timeout": seconds, "async_creator_fn": sqlite.connect}
        else:
            server = {"statement_timeout": str(int(seconds * 1000)), "application_name": "evergrant"}
            options["connect_args"] = {"server_settings": server, "command_timeout": seconds + 2, "timeout": 5}
        # What a statement was given would stand in the text of its error: addresses, and sealed or refused secrets.
        options["hide_parameters"] = True
        self.engine: AsyncEngine = create_async_engine(parsed, **options)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", sqlite.configure)
            event.listen(self.engine.sync_engine, "begin", sqlite.begin)
        else:
            event.listen(self.engine.sync_engine, "checkin", _note_return)
            event.listen(self.engine.sync_engine, "checkout", _ask_if_rested)
            event.listen(self.engine.sync_engine, "handle_error", _see_what_is_lost)
        in_memory = parsed.database in (None, "", ":memory:")
        self.file = Path(str(parsed.database)) if self.is_sqlite and not in_memory else None
        """The file of a SQLite database."""
        self._turnstile: Turnstile | None = None
        self._checkpoints: Checkpoints | None = None
        if self.file:
            self._turnstile = Turnstile(self.file, patience=patience, first=first)
            self._checkpoints = Checkpoints(self.file, self._turn)
        self._write = async_sessionmaker(self.engine, expire_on_commit=False)
        # PostgreSQL gives each statement its own view of the rows anyway, and BEGIN and ROLLBACK two more ways there.
        by_itself: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
        reading: dict[str, Any] = {"evergrant_reading": True} if self.is_sqlite else by_itself
        self._read = async_sessionmaker(self.engine.execution_options(**reading), expire_on_commit=False)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that writes; it commits at the end of the block, or rolls back on an error."""
        turn = self._turnstile.turn_at_begin() if self._turnstile else nullcontext()
        async with self._write() as session, turn, session.begin():
            yield session
        if self._checkpoints:
            self._checkpoints.wanted()

    def by_statement(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session of which each statement is a transaction of its own; on SQLite they are one as in `writing`.

        On PostgreSQL that saves two round trips of three, a millisecond and a half, where one statement does the work.
        """
        return self.writing() if self.is_sqlite else self._read()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that only reads: on SQLite it neither waits for a writer nor makes one wait."""
        async with self._read() as session:
            yield session

    def parts(self, rows: Sequence[T]) -> Iterator[Sequence[T]]:
        """Divide rows into parts of which each may be written in one transaction.

        On SQLite all others wait for it: webhooks waited for 75 ms while 50 grants were written.
        """
        most = 8 if self.is_sqlite else 200
        return (rows[start : start + most] for start in range(0, len(rows), most))

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._turnstile.turn() if self._turnstile else nullcontext()

    async def is_there(self) -> bool:
        """Say whether the database answers."""
        async with self.reading() as session:
            return bool((await session.execute(text("SELECT 1"))).scalar_one())

    async def close(self) -> None:
        """Let go of all connections; one that says goodbye to a server that is silent is not waited for long."""
        if self._checkpoints:
            await self._checkpoints.close()
        try:
            async with asyncio.timeout(GOODBYE):
                await self.engine.dispose()
        except TimeoutError:
            await self.engine.dispose(close=False)
        if self._turnstile:
            self._turnstile.close()


def _note_return(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[RETURNED] = monotonic()


def _ask_if_rested(connection: AdaptedConnection, record: ConnectionPoolEntry, _: object) -> None:
    """Ask a connection that has rested whether its server is still there. Raises what makes the pool open another.

    SQLAlchemy's own `pool_pre_ping` asks each time, in three round trips where this takes one, and made a transaction
    with one statement cost 1.3 ms of processor time instead of 0.95. No server is back within a second of its end.
    """
    if monotonic() - record.info.get(RETURNED, inf) > RESTED:
        try:
            connection.run_async(lambda asked: asked.fetchrow(";"))
        except (PostgresError, InterfaceError, InternalClientError, OSError) as error:
            raise InvalidatePoolError("the connection is dead") from error


def _see_what_is_lost(told: ExceptionContext) -> None:
    """Let no connection be used again that its server has ended, nor any other that is as old.

    SQLAlchemy asks asyncpg whether the connection is closed, which is not so yet while it is being closed: whoever got
    it next found "another operation in progress".
    """
    error = told.original_exception
    if isinstance(error.__cause__ or error, LOST):
        told.is_disconnect = True
