"""The time at Nylas: the machine's own, and as far ahead of it as we were told to go."""

import asyncio
import time
from contextlib import suppress


class Clock:
    """Only `forward` makes it differ from the machine's; it never stands still and never goes back."""

    def __init__(self) -> None:
        self.ahead = 0
        self._moved = asyncio.Event()

    def now(self) -> int:
        """Return unix seconds, the unit of every time in the API."""
        return int(self.exact())

    def exact(self) -> float:
        """Return unix seconds with their fraction."""
        return time.time() + self.ahead

    def forward(self, seconds: int) -> None:
        """Let so much time have passed; who sleeps until then wakes up."""
        self.ahead += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed here."""
        end = self.exact() + seconds
        while (left := end - self.exact()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._moved.wait()
