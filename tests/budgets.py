"""What the tests of the budget share: budgets as processes have them, on a real Valkey, and a look at their seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from worker.budget import SharedBudget, in_bulk

RATE = 50
Process = Callable[..., SharedBudget]


@asynccontextmanager
async def processes(url: str, application: str, *, patience: float = 0.5) -> AsyncIterator[Process]:
    """Make the budgets of processes, each with a connection of its own; none waits longer than so many seconds."""
    opened: list[Any] = []

    def process(*, url: str = url, application: str = application, rate: float = RATE) -> SharedBudget:
        opened.append(Redis.from_url(url, socket_timeout=patience, socket_connect_timeout=patience))
        return SharedBudget(opened[-1], application=application, rate=rate, patience=patience)

    yield process
    for redis in opened:
        await redis.aclose()


async def taken(budget: SharedBudget, many: int, group: str = "grants", *, bulk: bool = False) -> list[float]:
    """Take so often, all at once; return when each was let go."""

    async def one() -> float:
        in_bulk.set(bulk)
        await budget.take(group)
        return time.monotonic()

    return await asyncio.gather(*(asyncio.create_task(one()) for _ in range(many)))


def most_in(seconds: float, times: Sequence[float]) -> int:
    """The most that any sliding window of so many seconds holds."""
    times, oldest, most = sorted(times), 0, 0
    for newest, at in enumerate(times):
        while times[oldest] <= at - seconds:
            oldest += 1
        most = max(most, newest - oldest + 1)
    return most
