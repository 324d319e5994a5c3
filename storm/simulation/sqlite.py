"""SQLite without its threads: each statement is executed at once, and between them stand the points and the faults."""

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from models.database import Database
from models.sqlite import STATEMENTS_KEPT
from storm.simulation.process import current, passes
from storm.simulation.watching import WHO

PATIENCE = 30.0
WRITES = ("INSERT", "UPDATE", "DELETE")
BEFORE = {
    "locked": ("database is locked", sqlite3.SQLITE_BUSY),
    "full": ("database or disk is full", sqlite3.SQLITE_FULL),
}
LOST = "lost"


class SimulatedDatabase(Database):
    """The product's own. The turns of processes, which are locks of the operating system, are taken by `Server`."""

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()


class Server:
    """What all connections share: the file, whose turn it is to write, and what is to go wrong."""

    def __init__(self, file: Path, *, random: Callable[[], int]) -> None:
        self.file, self.random = file, random
        self.writer = asyncio.Lock()
        self.fault: tuple[str, int] | None = None
        """What goes wrong, and how many commits go well before that."""
        self.struck = 0

    def begin_anew(self) -> None:
        """Begin with a run. Whoever wrote in the last one has ended."""
        self.writer, self.fault, self.struck = asyncio.Lock(), None, 0

    async def another_writes(self, seconds: float) -> None:
        """Let somebody else have the lock from now on for so long."""
        await self.writer.acquire()
        asyncio.get_running_loop().call_later(seconds, self.writer.release)

    def connect(self, *_: object, **__: object) -> "Connection":
        """Stand in for `models.sqlite.connect`."""
        return Connection(self)

    def strikes(self) -> str | None:
        """Say what goes wrong with this commit, if anything."""
        if self.fault is None:
            return None
        kind, first = self.fault
        self.fault = (kind, first - 1) if first else None
        if first:
            return None
        self.struck += 1
        if process := current.get():
            process.harmed = True
        return kind


class Connection:
    """Speaks as aiosqlite's connection does, as far as SQLAlchemy asks it to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._conn = self._connection = sqlite3.connect(
            server.file, timeout=0, cached_statements=STATEMENTS_KEPT, check_same_thread=False
        )
        self._conn.execute("PRAGMA synchronous=OFF")
        self._conn.create_function(WHO, 0, _who)
        self._thread = SimpleNamespace(daemon=True)
        self._tx = SimpleNamespace(put_nowait=self._at_once)
        self._holds = self._wrote = False

    def __await__(self) -> Generator[Any, None, Self]:
        """Be connected."""
        return self
        yield

    def _at_once(self, told: "tuple[asyncio.Future[Any], Callable[[], Any]]") -> None:
        future, function = told
        future.set_result(function())

    async def create_function(self, *args: Any, **options: Any) -> None:
        """Add a function; what depends on chance is foretold."""
        self._conn.create_function(*args, **options)
        self._conn.create_function("random", 0, self._server.random)

    def cursor(self) -> "Cursor":
        """Open a cursor."""
        return Cursor(self)

    async def execute(self, cursor: sqlite3.Cursor, statement: str, *values: Any, many: bool = False) -> None:
        """Execute a statement."""
        if statement.startswith("BEGIN IMMEDIATE"):
            await passes("before BEGIN")
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._server.writer.acquire()
            except TimeoutError:
                raise _refusal("locked") from None
            self._holds, self._wrote = True, False
        elif statement.startswith("PRAGMA synchronous"):
            return
        elif not self._holds:
            await _stands_still()
        elif not self._wrote:
            self._wrote = statement.lstrip().startswith(WRITES)
        (cursor.executemany if many else cursor.execute)(statement, *values)

    async def commit(self) -> None:
        """Commit, or fail to, or do it and fail to say so."""
        fault = None
        if self._holds and self._wrote:
            await passes("before COMMIT", may_stop=False)
            fault = self._server.strikes()
            if fault in BEFORE:
                raise _refusal(fault)
        wrote = self._wrote
        self._conn.commit()
        self._let_go()
        if wrote:
            await passes("after COMMIT")
        if fault == LOST:
            raise sqlite3.OperationalError("the connection was lost after the commit")

    async def rollback(self) -> None:
        """Roll back."""
        self._conn.rollback()
        self._let_go()

    def _let_go(self) -> None:
        if self._holds:
            self._holds = self._wrote = False
            self._server.writer.release()

    async def close(self) -> None:
        """Close."""
        self.stop()

    def stop(self) -> None:
        """Close, whatever is under way."""
        self._let_go()
        self._conn.close()


class Cursor:
    """Speaks as aiosqlite's cursor does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection._conn.cursor()

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        """The columns."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The last row."""
        return self._cursor.lastrowid

    async def execute(self, statement: str, values: Sequence[Any] = ()) -> Self:
        """Execute."""
        await self._connection.execute(self._cursor, statement, values)
        return self

    async def executemany(self, statement: str, rows: Any) -> Self:
        """Execute for each row."""
        await self._connection.execute(self._cursor, statement, rows, many=True)
        return self

    async def fetchall(self) -> list[Any]:
        """All rows."""
        return self._cursor.fetchall()

    async def close(self) -> None:
        """Close."""
        self._cursor.close()


def _who() -> str:
    process = current.get()
    return process.name if process else "nobody"


async def _stands_still() -> None:
    if process := current.get():
        await process.stands_still()


def _refusal(fault: str) -> sqlite3.OperationalError:
    """What SQLite raises of that sort, with its code."""
    says, code = BEFORE[fault]
    error = sqlite3.OperationalError(says)
    error.sqlite_errorcode = code
    return error
