"""Whose turn it is to write: few at a time, outside of the database, and who is quick before who is not."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A line for each of two kinds of writers in a process. Who waits here holds no connection, and fails at nothing.

    In a storm fifty tasks have two hundred rows each to write at the same moment. Left to the database they would
    wait for a connection, or on SQLite for its one writer, until that gives them up, and the renewals of their leases
    behind them.
    """

    def __init__(self, places: int) -> None:
        """Let so many write at the same time."""
        self._free = places
        self.at_work = 0
        """How many tasks hold rows, in this process."""
        self._lines: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}

    @property
    def free(self) -> bool:
        """Whether nobody would have to wait."""
        return self._free > 0

    @asynccontextmanager
    async def turn(self, *, quick: bool) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the length of the block. Who is `quick` goes first."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(self._lines[quick])
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, line: "deque[asyncio.Future[None]]") -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(called)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        for quick in (True, False):
            while self._lines[quick]:
                called = self._lines[quick].popleft()
                if not called.done():
                    called.set_result(None)
                    return
        self._free += 1
