"""The places of calls to Nylas under way: so many for work in bulk, a few more for who has somebody waiting."""

import asyncio
from types import TracebackType

from worker.budget import in_bulk

RESERVED = 10


class Places:
    """An async context manager that holds a place for the length of its block; many tasks may be in it at once.

    A place is taken before the budget is asked: a call that was given leave goes at once. Were it the other way round,
    leave would pile up while Nylas is slow, and be used in one burst when it answers.
    """

    def __init__(self, in_bulk: int) -> None:
        """Work in bulk has at most so many places; all calls together have `RESERVED` more."""
        self._bulk = asyncio.Semaphore(in_bulk)
        self._all = asyncio.Semaphore(in_bulk + RESERVED)

    async def __aenter__(self) -> None:
        """Wait for a place."""
        if not in_bulk.get():
            await self._all.acquire()
            return
        await self._bulk.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            self._bulk.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self._all.release()
        if in_bulk.get():
            self._bulk.release()
