"""What SQLite has in its log is written into the file beside those who write, and not by one of them as it commits."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import structlog

log = structlog.get_logger()

EVERY = 0.5
"""Seconds after a commit, and between two of all processes."""
LONG = 1000
"""Pages of the log that are enough to see to it that it begins anew; SQLite does so with as many by itself."""


class Checkpoints:
    """Sees to it that no commit has to write the log (WAL) into the file.

    SQLite has whoever commits do that, once the log has a thousand pages: each fortieth transaction then took 10 ms on
    an idle disk instead of 0.6, and several times as long on a machine that is busy, with everybody else waiting. A
    connection of its own, in a thread, does it while others write, once in half a second in which somebody wrote, among
    all processes. The log grows meanwhile. When it is long the rest is written in a turn like any writer's, which takes
    a millisecond or two by then; whoever commits next begins the log anew.
    """

    def __init__(self, database: Path, turn: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Nothing is opened yet."""
        self._path, self._turn = database, turn
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def wanted(self) -> None:
        """Note that something was committed."""
        if self._timer is None and (self._writing is None or self._writing.done()):
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """Write what is in the log. A failure (the disk is full, say) is made good by the next time."""
        try:
            if abs(time.time() - self._path.stat().st_mtime) < EVERY:
                return  # another process has just done it
            if await asyncio.to_thread(self._checkpoint) >= LONG:
                async with self._turn():
                    await asyncio.to_thread(self._checkpoint)
        except (sqlite3.Error, OSError) as error:
            log.warning("sqlite.checkpoint_failed", error=type(error).__name__)

    def _checkpoint(self) -> int:
        """Write what can be written while others read and write; return how many pages the log has."""
        with closing(sqlite3.connect(self._path, timeout=0)) as connection:
            _busy, pages, _written = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return int(pages)

    async def close(self) -> None:
        """Do no more; what is under way comes to its end."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._writing:
            await asyncio.wait([self._writing])
            self._writing = None
