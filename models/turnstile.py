"""Whose turn it is to write to a SQLite file, among all processes of this machine."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path

if sys.platform != "win32":  # there it is as SQLite has it
    import fcntl

PAUSE = 0.001
GIVES_WAY = 0.2
"""Seconds for which whoever has waited gives way at most to those who come first."""


class Turnstile:
    """Lets the writers of a SQLite file in one by one, whoever has waited before whoever has just been.

    SQLite lets a writer ask again after pauses of up to a tenth of a second, and a process that writes on and on
    is always there first. Here two locks of the operating system (flock) stand before it: who holds the first waits
    for the second, and lets go of the first once it has it. So who comes back finds the first one taken. A process
    that dies lets go of both. This is a courtesy: who has waited for `patience` goes on, and SQLite keeps the order.

    Who comes `first`, as webhooks do, does not stand in the line: it holds a third lock while it waits, and whoever
    gets in meanwhile makes way. So it waits for the one transaction that it has met, however many stand in the line.
    """

    def __init__(self, database: Path, *, patience: timedelta, first: bool = False) -> None:
        """Nothing is opened yet. The locks are the files `…-line`, `…-turn` and `…-first` beside the database."""
        self._paths = [database.with_name(f"{database.name}-{name}") for name in ("line", "turn", "first")]
        self._files: list[int] = []
        self._patience, self._first = patience.total_seconds(), first
        self._here = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the length of the block."""
        async with self.turn_at_begin() as turn:
            if turn:
                await turn.take()
            yield

    @asynccontextmanager
    async def turn_at_begin(self) -> AsyncIterator["Turn | None"]:
        """Let the transaction of this block have a turn from its BEGIN, for which it waits there, to its COMMIT.

        What is done before and after, to get a connection and let go of it, takes longer than BEGIN and COMMIT. One of
        this process at a time comes that far.
        """
        if sys.platform == "win32" or not await self._first_of_this_process():
            yield None
            return
        try:
            turn = Turn(self._opened(), first=self._first, patience=self._patience)
            before = coming.get()
            coming.set(turn)
            try:
                yield turn
            finally:
                coming.set(before)
                turn.give_back()
        finally:
            self._here.release()

    async def _first_of_this_process(self) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                return await self._here.acquire()
        except TimeoutError:
            return False

    def _opened(self) -> tuple[int, int, int]:
        if not self._files:
            self._files = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for path in self._paths]
        line, turn, first = self._files
        return line, turn, first

    def close(self) -> None:
        """Close the files. They stay where they are: another process may have them open."""
        while self._files:
            os.close(self._files.pop())
        self._here = asyncio.Lock()  # the old one belongs to its event loop


class Turn:
    """What lets one in of all processes."""

    def __init__(self, files: tuple[int, int, int], *, first: bool, patience: float) -> None:
        """It is not taken yet. The files are those of the line, the turn, and those who come first."""
        self._line, self._turn, self._first = files
        self._comes_first, self._patience = first, patience

    async def take(self) -> None:
        """Wait for it, but not for longer than the patience lasts."""
        ahead = self._first if self._comes_first else self._line
        deadline = asyncio.get_running_loop().time() + self._patience
        try:
            if await _taken(ahead, deadline) and await _taken(self._turn, deadline) and not self._comes_first:
                await _give_way(self._turn, self._first, deadline)
        finally:
            fcntl.flock(ahead, fcntl.LOCK_UN)

    def give_back(self) -> None:
        """Let the next one in, if this one is."""
        fcntl.flock(self._turn, fcntl.LOCK_UN)


coming: ContextVar[Turn | None] = ContextVar("coming", default=None)
"""The turn of the transaction that this task is about to begin."""


async def _taken(file: int, deadline: float) -> bool:
    """Take a lock; say whether that was possible in time. Asking costs a microsecond, and leaves the loop free."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(PAUSE)
        else:
            return True


async def _give_way(turn: int, first: int, deadline: float) -> None:
    """Leave our turn to those who come first, again and again, but not for long."""
    until = min(deadline, asyncio.get_running_loop().time() + GIVES_WAY)
    while not _is_free(first) and asyncio.get_running_loop().time() < until:
        fcntl.flock(turn, fcntl.LOCK_UN)
        await asyncio.sleep(PAUSE)
        await _taken(turn, deadline)


def _is_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True
