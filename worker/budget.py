"""The budget of calls to Nylas: one for each API group of an application, shared by all processes."""

import asyncio
import time
from contextvars import ContextVar
from datetime import timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.own_clock import OwnClock
from worker.rate_limits import RateLimit, limit_of
from worker.shared_line import SharedLine

log = structlog.get_logger()

# True inside work in bulk: whoever has somebody waiting goes before it.
in_bulk: ContextVar[bool] = ContextVar("in_bulk", default=False)

WITHOUT_REDIS = timedelta(seconds=2)
PATIENCE = 0.5


class Group:
    """One API group in this process: of each kind of call, one asks and the others stand behind it as they came."""

    def __init__(self, limit: RateLimit) -> None:
        """Start with nobody waiting."""
        self.limit = limit
        self.clock = OwnClock(limit)
        self.lanes = {bulk: asyncio.Lock() for bulk in (False, True)}


class SharedBudget:
    """So many calls a second for each API group of one application, over all processes.

    In any sliding second (of providers/detect: minute) no more calls go than Nylas allows. Whoever has somebody waiting
    goes before bulk, over all processes, but one call in ten is bulk's. Without Redis each process keeps to its share
    by its own clock, and asks Redis again 2 s later.
    """

    def __init__(self, redis: Redis | None, *, application: str, rate: float, patience: float = PATIENCE) -> None:
        """`rate` is calls a second for each group; 0 means no limit. `application` is Nylas' client id.

        An answer of Redis that takes over `patience` seconds counts as none.
        """
        self._line = SharedLine(redis, application) if redis else None
        self._rate = rate
        self._patience = patience
        self._groups: dict[str, Group] = {}
        self._redis_again_at = 0.0

    async def take(self, group: str) -> None:
        """Wait until one call of this API group may go; then it should go at once."""
        if (ours := self._group(group)) is None:
            return
        bulk = in_bulk.get()
        async with ours.lanes[bulk]:
            while True:
                wait = ours.clock.held() or await self._ask(group, ours, bulk=bulk)
                if not wait:
                    return
                await asyncio.sleep(wait)

    async def pushed_back(self, group: str, wait: timedelta) -> None:
        """Nylas itself said 429: nobody calls this group before `wait` is over."""
        if (ours := self._group(group)) is None:
            return
        ours.clock.hold(wait.total_seconds())
        if line := self._usable_line(ours.clock):
            try:
                async with asyncio.timeout(self._patience):
                    await line.hold(group, ours.limit, wait.total_seconds())
            except (RedisError, OSError) as error:
                self._redis_failed(error)

    def _group(self, name: str) -> Group | None:
        if name not in self._groups:
            limit = limit_of(name, self._rate)
            if limit is None:
                return None
            self._groups[name] = Group(limit)
        return self._groups[name]

    async def _ask(self, name: str, group: Group, *, bulk: bool) -> float:
        """Let the call go (0), or say in how many seconds to ask again."""
        clock = group.clock
        while line := self._usable_line(clock):
            news = clock.news()
            try:
                async with asyncio.timeout(self._patience):
                    answer = await line.ask(
                        name,
                        group.limit,
                        bulk=bulk,
                        known=clock.line,
                        returning=clock.was_alone(),
                        news=[(heard.believed, heard.seconds) for heard in news],
                    )
            except (RedisError, OSError) as error:
                self._redis_failed(error)
                break
            clock.line, clock.processes = answer.line, answer.processes
            if answer.verdict == "tell":
                continue
            clock.told(news)
            if answer.verdict != "apart":
                clock.came_back()
            match answer.verdict:
                case "go":
                    clock.went(answer.let_go)
                    return 0.0
                case "wait":
                    return answer.wait
                case "apart":
                    log.info("budget.apart", group=name, for_seconds=round(answer.wait, 1))
                    clock.part(answer.wait)
        return clock.ask(bulk=bulk, other_waits=group.lanes[not bulk].locked())

    def _usable_line(self, clock: OwnClock) -> SharedLine | None:
        return None if clock.is_apart() or time.monotonic() < self._redis_again_at else self._line

    def _redis_failed(self, error: Exception) -> None:
        now = time.monotonic()
        if now >= self._redis_again_at:
            log.warning("budget.without_redis", error=type(error).__name__, for_seconds=WITHOUT_REDIS.total_seconds())
        self._redis_again_at = now + WITHOUT_REDIS.total_seconds()
        for group in self._groups.values():
            group.clock.part()
