"""The budget of calls to Nylas: one bucket for each API group, shared by all processes through Redis."""

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()

# True inside work in bulk: whoever has somebody waiting goes before it.
in_bulk: ContextVar[bool] = ContextVar("in_bulk", default=False)

# GCRA (the generic cell rate algorithm, ITU-T I.371): `tat` is when the next call would come if all came evenly
# spaced. The server's own clock is used, so that the clocks of the processes don't matter. Answers the microseconds
# to wait; the place is taken already.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
local start = math.max(tat, now - tonumber(ARGV[2]))
local next = start + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 60000)
return string.format('%.0f', math.max(0, start - now))
"""
PUSH_BACK = """
local clock = redis.call('TIME')
local wanted = clock[1] * 1000000 + clock[2] + tonumber(ARGV[1])
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
if wanted > tat then
  redis.call('SET', KEYS[1], string.format('%.0f', wanted), 'PX', math.ceil(tonumber(ARGV[1]) / 1000) + 60000)
end
return 1
"""
WITHOUT_REDIS = timedelta(seconds=2)
FALLBACK_SHARE = 0.5


class Turnstile:
    """Lets one caller through at a time: those with somebody waiting first, then in the order of coming."""

    def __init__(self) -> None:
        """Start free."""
        self._busy = False
        self._numbers = itertools.count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and hold it for the length of the block."""
        if self._busy:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (in_bulk.get(), next(self._numbers), mine))
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._next()  # the turn was ours already: hand it on
                raise
        self._busy = True
        try:
            yield
        finally:
            self._next()

    def _next(self) -> None:
        self._busy = False
        while self._waiting:
            _, _, waiting = heapq.heappop(self._waiting)
            if not waiting.done():
                self._busy = True
                waiting.set_result(None)
                return


class SharedBudget:
    """So many calls a second for each API group of one application, over all processes.

    Without Redis each process keeps to a part of the budget by its own clock, and asks Redis again 2 s later.
    """

    def __init__(self, redis: Redis | None, *, application: str, rate: float) -> None:
        """`rate` is calls a second for each group; 0 means no limit. `application` is Nylas' client id."""
        self._redis = redis
        self._application = application
        self._interval = 1 / rate if rate else 0.0
        self._turnstiles: dict[str, Turnstile] = {}
        self._own_tat: dict[str, float] = {}
        self._redis_again_at = 0.0

    async def take(self, group: str) -> None:
        """Wait until one call of this API group may go."""
        if not self._interval:
            return
        async with self._turnstiles.setdefault(group, Turnstile()).turn():
            wait = await self._place(group)
            if wait > 0:
                await asyncio.sleep(wait)

    async def pushed_back(self, group: str, wait: timedelta) -> None:
        """Nylas itself said 429: nobody calls this group before `wait` is over."""
        seconds = wait.total_seconds()
        self._own_tat[group] = max(self._own_tat.get(group, 0.0), time.monotonic() + seconds)
        if redis := self._usable_redis():
            try:
                await redis.eval(PUSH_BACK, 1, self._key(group), str(int(seconds * 1_000_000)))
            except (RedisError, OSError) as error:
                self._redis_failed(error)

    async def _place(self, group: str) -> float:
        if redis := self._usable_redis():
            micros = int(self._interval * 1_000_000)
            try:
                return int(await redis.eval(TAKE, 1, self._key(group), str(micros), str(micros))) / 1_000_000
            except (RedisError, OSError) as error:
                self._redis_failed(error)
        now = time.monotonic()
        start = max(self._own_tat.get(group, 0.0), now)
        self._own_tat[group] = start + self._interval / FALLBACK_SHARE
        return start - now

    def _key(self, group: str) -> str:
        return f"evergrant:budget:{self._application}:{group}"

    def _usable_redis(self) -> Redis | None:
        return self._redis if time.monotonic() >= self._redis_again_at else None

    def _redis_failed(self, error: Exception) -> None:
        self._redis_again_at = time.monotonic() + WITHOUT_REDIS.total_seconds()
        log.warning("budget.without_redis", error=type(error).__name__, for_seconds=WITHOUT_REDIS.total_seconds())
