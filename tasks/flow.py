"""How many items of the work in bulk are under way at once: fewer when Nylas is in trouble, more when it answers."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

from nylas_api import NylasError, RateLimited, Transient

ONCE_A = 1.0
"""Seconds in which trouble counts once: the calls that are under way all tell of the same one."""


class Flow:
    """Additive increase, multiplicative decrease (as in TCP, RFC 5681), over a process' work in bulk.

    An item is under way until its result is committed: whoever kills the process has no more of them asked again than
    were under way, and they are `most` at most. From the first 429, 5xx or silence on half as many as were under way go
    at once. Each round of answers without trouble allows one more. No fewer than one goes.
    """

    def __init__(self, most: float = inf) -> None:
        """Let `most` go at once until there is trouble."""
        self.most = most
        self.limit: float | None = None
        self.under_way = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._trouble_at: float | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait until one more item may be under way, and have it so for the length of the block."""
        if self._room() > len(self._line):
            self.under_way += 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self.under_way -= 1
            self._call()

    async def _wait(self) -> None:
        """Stand in line. Whoever calls us has taken the place for us."""
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(called)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self.under_way -= 1
                self._call()
            raise

    def heard(self, answer: object) -> None:
        """Take note of an answer: trouble at Nylas, or anything else."""
        now = asyncio.get_running_loop().time()
        if isinstance(answer, Transient):
            if isinstance(answer, RateLimited) and answer.provider_limit:
                return  # the provider's limit for that one mailbox
            if self._trouble_at is None or now - self._trouble_at >= ONCE_A:
                self._trouble_at = now
                self.limit = max(1.0, min(self.limit or self.under_way, self.under_way) / 2)
        elif not isinstance(answer, NylasError) and self.limit is not None:
            self.limit += 1 / self.limit
            self._call()

    def _room(self) -> float:
        return min(self.most, inf if self.limit is None else int(self.limit)) - self.under_way

    def _call(self) -> None:
        while self._line and self._room() > 0:
            called = self._line.popleft()
            if not called.done():
                self.under_way += 1
                called.set_result(None)
