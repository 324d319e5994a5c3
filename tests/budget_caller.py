"""One process of several that share the budget: real calls to the simulator, in bulk and with somebody waiting."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import httpx
from redis.asyncio import Redis

from nylas_api import NylasClient, NylasError, open_http
from worker.budget import SharedBudget, in_bulk

AT_ONCE = 20


class Timed(SharedBudget):
    """A budget that notes how long each call waited for it: (in bulk, seconds)."""

    def __init__(self, redis: Redis, *, application: str, rate: float) -> None:
        """Note nothing yet."""
        super().__init__(redis, application=application, rate=rate)
        self.waits: list[tuple[bool, float]] = []

    async def take(self, group: str) -> None:
        """Wait, and note it."""
        begin = time.monotonic()
        await super().take(group)
        self.waits.append((in_bulk.get(), time.monotonic() - begin))


async def call(told: dict[str, Any]) -> dict[str, Any]:
    """Make `calls` calls in bulk, and meanwhile `asked_per_second` with somebody waiting."""
    redis = Redis.from_url(told["redis"], socket_timeout=0.5, socket_connect_timeout=0.5)
    budget = Timed(redis, application=told["application"], rate=told["rate"])
    http = open_http(connections=50)
    nylas = NylasClient(api_uri=told["nylas"], api_key="k", client_id=told["application"], http=http, budget=budget)
    answers: Counter[str] = Counter()

    async def one() -> None:
        try:
            await nylas.grants.list(limit=1)
            answers["ok"] += 1
        except NylasError as error:
            answers[type(error).__name__] += 1

    async def bulk(calls: int) -> None:
        in_bulk.set(True)
        for _ in range(calls):
            await one()

    async def somebody() -> None:
        async with asyncio.TaskGroup() as group:
            while told["asked_per_second"]:
                await asyncio.sleep(random.expovariate(told["asked_per_second"]))
                group.create_task(one())

    async with httpx.AsyncClient() as other:
        await other.get(f"{told['nylas']}/healthz")
    asking = asyncio.create_task(somebody())
    spread = [told["calls"] // AT_ONCE + (place < told["calls"] % AT_ONCE) for place in range(AT_ONCE)]
    await asyncio.gather(*map(bulk, spread))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await http.aclose()
    await redis.aclose()
    return {"waits": budget.waits, "answers": answers}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(call(json.loads(sys.argv[1])))) + "\n")
