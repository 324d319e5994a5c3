"""Connections to SQLite: they keep what was answered for, hold the lock for as short as can be, and let go of it."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import aiosqlite
import stamina
from sqlalchemy import Connection

from models.prepared import execute
from models.turnstile import coming

T = TypeVar("T")

READ, WRITE = "BEGIN", "BEGIN IMMEDIATE"
LONGEST_LOG = 8000
"""Pages of the log with which a commit writes it into the file after all: `models.checkpoints` could not, so far."""
STATEMENTS_KEPT = 24
"""Prepared statements that each connection keeps. Those with many rows differ by their number, and each holds some
100 KB: with the 128 of sqlite3 a worker grew by 60 MB over 100,000 items."""
WRITES = frozenset({"cursor", "execute", "executemany", "fetchone", "fetchmany", "fetchall", "commit", "rollback"})
"""What a transaction that writes is made of."""
ENDS = frozenset({"commit", "rollback"})
"""What ends it."""
READS = frozenset({"cursor"})
"""What SQLite has little to do for while a transaction reads: a rollback would wait for what the thread is at."""
BETWEEN = frozenset({"cursor", "rollback"})
"""What it has little to do for where there is no transaction."""


def connect(database: str, *, timeout: float, **options: Any) -> aiosqlite.Connection:
    """Open a database file as `aiosqlite.connect` does; `timeout` is how many seconds a statement waits for a lock."""
    told = {**options, "timeout": timeout, "cached_statements": STATEMENTS_KEPT, "check_same_thread": False}

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(database, factory=_LetsGo, **told)

    return _HoldsBriefly(opened, timeout)


def configure(connection: Any, _record: object) -> None:
    """Make a new connection durable: what we answered for with 200 must survive a power cut."""
    connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
    cursor = connection.cursor()
    into_wal_mode(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"wal_autocheckpoint={LONGEST_LOG}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction as its session wants it: to read only, or to write."""
    reads = connection.get_execution_options().get("evergrant_reading", False)
    execute(connection, READ if reads else WRITE)


class _LetsGo(sqlite3.Connection):
    """A connection that lets go of its lock when it is closed.

    That of a task that was cancelled may be closed while rows of a statement are unread. SQLite keeps it, with its
    transaction, until the statement is gone: for minutes, where an exception refers to it, and nobody else can write.
    """

    def close(self) -> None:
        """Roll back, and close."""
        if self.in_transaction:
            self.rollback()
        super().close()


class _HoldsBriefly(aiosqlite.Connection):
    """A connection whose writers stay in the event loop from BEGIN to COMMIT, while all other writers wait for them.

    aiosqlite has its thread do everything, four times for each statement. Each time the thread waits for Python's lock,
    and then the task for its turn in the loop: where that is busy a transaction of three statements held SQLite's lock
    for 73 ms in the median, and now holds it for 1.4. What may take long stays in the thread: waiting for the lock,
    while another program has it, and whatever reads, for which nobody waits.
    """

    def __init__(self, opened: Callable[[], sqlite3.Connection], timeout: float) -> None:
        """Prepare; it is opened when it is awaited."""
        super().__init__(opened, iter_chunk_size=64)
        self._thread.daemon = True
        self._timeout_ms = int(timeout * 1000)
        self._writes = False
        self._stopping: asyncio.Future[None] | None = None

    def stop(self) -> "asyncio.Future[None] | None":
        """Have the thread close the file and end, once: asked again it has ended, and would never answer.

        SQLAlchemy closes the connection of a task that was cancelled, and stops it if it is cancelled meanwhile; then
        aiosqlite's `close`, which goes on by itself, stops it too. It waited for ever, and a program that ends waits
        for it.
        """
        if self._stopping is None:
            self._stopping = super().stop()
        return self._stopping

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Do what aiosqlite has its thread do. Raises sqlite3.Error; ValueError, if the connection is closed."""
        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        if args[:1] in ((READ,), (WRITE,)):
            self._writes = args[0] == WRITE
            if self._writes:
                return await self._begin(partial(fn, *args))
        if self._is_brief(fn):
            done = fn(*args, **kwargs)
            if fn.__name__ in ENDS and self._writes and (turn := coming.get()):
                turn.give_back()
            return done
        return await self._in_thread(partial(fn, *args, **kwargs))

    async def _begin(self, begin: Callable[[], T]) -> T:
        """Begin to write, in turn. If somebody else does all the same, the thread waits until they have done."""
        if turn := coming.get():
            await turn.take()
        self._conn.execute("PRAGMA busy_timeout=0")
        try:
            return begin()
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        finally:
            self._conn.execute(f"PRAGMA busy_timeout={self._timeout_ms}")
        return await self._in_thread(begin)

    async def _in_thread(self, done: Callable[[], T]) -> T:
        asked: Callable[[Callable[[], T]], Awaitable[T]] = super()._execute
        return await asked(done)

    def _is_brief(self, fn: Callable[..., object]) -> bool:
        if fn.__name__ == "close":
            return isinstance(getattr(fn, "__self__", None), sqlite3.Cursor)
        if not self._conn.in_transaction:
            return fn.__name__ in BETWEEN
        return fn.__name__ in (WRITES if self._writes else READS)


def is_busy(error: Exception) -> bool:
    """Say whether somebody else has the lock; the lower byte says so of each of its kinds."""
    code: int = getattr(error, "sqlite_errorcode", 0)  # one that Python's own code raised has none
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_BUSY


@stamina.retry(on=is_busy, attempts=20, timeout=2, wait_initial=0.01, wait_max=0.1, wait_jitter=0.02)
def into_wal_mode(cursor: Any) -> None:
    """Have a log (WAL). Of two that make the file at once, SQLite refuses one at once: it waits for no lock here."""
    cursor.execute("PRAGMA journal_mode=WAL")
