"""A file beside a SQLite database that keeps what came safe until there is a turn to write it there."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from models.arrivals import MOST_AT_ONCE, MOST_BYTES_AT_ONCE, Arrival, as_json, from_json
from models.sqlite import into_wal_mode

T = TypeVar("T")

BUSY_FOR = 1.0
"""Seconds for which another web front on this machine may have the file."""
TABLE = "CREATE TABLE IF NOT EXISTS spool (id TEXT PRIMARY KEY, about TEXT NOT NULL, raw BLOB NOT NULL)"


class Spool:
    """Arrivals that are not in the database yet, each in a row of the file `…-spool` until it is.

    Only web fronts write to it, a few rows at a time, so nobody waits for it as one waits for a worker's turn. It is as
    durable as the database (WAL, `synchronous=FULL`). What is in it may be in the database as well: whoever brings it
    there does so by its `key`, which makes twice the same as once.

    One thread does all, in the order in which it was asked for. Each raises sqlite3.Error, or OSError, and has done
    nothing then.
    """

    def __init__(self, database: Path) -> None:
        """Nothing is opened yet."""
        self._path = database.with_name(f"{database.name}-spool")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._connection: sqlite3.Connection | None = None

    async def keep(self, arrivals: Iterable[Arrival]) -> None:
        """Keep these; they are safe when this returns."""
        rows = [(str(each.id), json.dumps(as_json(each)), each.raw) for each in arrivals]
        await self._do(lambda file: _each(file, "INSERT OR IGNORE INTO spool VALUES (?, ?, ?)", rows))

    async def forget(self, ids: Iterable[UUID]) -> None:
        """Forget these: they are in the database."""
        rows = [(str(each),) for each in ids]
        await self._do(lambda file: _each(file, "DELETE FROM spool WHERE id = ?", rows))

    async def left(self) -> Sequence[Arrival]:
        """Return those that came first of what is kept, in the order in which they came."""
        return [from_json(json.loads(about), raw) for about, raw in await self._do(_first)]

    async def close(self) -> None:
        """Finish what was asked for, and close the file. It stays where it is."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_transaction, work)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._opened()
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            return work(self._connection)

    def _opened(self) -> sqlite3.Connection:
        with suppress(FileExistsError):  # to close a file that SQLite has open here would let go of its locks (POSIX)
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self._path, timeout=BUSY_FOR, isolation_level=None)
        try:
            into_wal_mode(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(TABLE)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _each(file: sqlite3.Connection, statement: str, rows: Sequence[tuple[str | bytes, ...]]) -> None:
    """Execute it for each row. Its cursor must end in this thread: it shares the statement with the next one."""
    file.executemany(statement, rows)


def _first(file: sqlite3.Connection) -> list[tuple[str, bytes]]:
    rows, size = list[tuple[str, bytes]](), 0
    with closing(file.execute("SELECT about, raw FROM spool ORDER BY rowid LIMIT ?", (MOST_AT_ONCE,))) as found:
        for row in found:
            rows.append(row)
            size += len(row[1])
            if size >= MOST_BYTES_AT_ONCE:
                break
    return rows
