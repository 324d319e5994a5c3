"""The line in Redis, by Redis' own clock: no sliding second holds more calls than Nylas takes, whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from models.columns import new_id
from tests.budgets import RATE, most_in
from worker.own_clock import OwnClock
from worker.rate_limits import RateLimit, limit_of
from worker.shared_line import Answer, SharedLine

LOST = "redis.call('DEL', KEYS[1])"
PUT_AHEAD = """
local state = cmsgpack.unpack(redis.call('GET', KEYS[1]))
for _, time in ipairs({'saved', 'tat', 'joint'}) do state[time] = state[time] + 3600000000 end
for place, at in ipairs(state.log) do state.log[place] = at + 3600000000 end
redis.call('SET', KEYS[1], cmsgpack.pack(state))
"""


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Any]:
    """A client as the runtime makes it."""
    redis = Redis.from_url(valkey, socket_timeout=0.5, socket_connect_timeout=0.5)
    yield redis
    await redis.aclose()


@pytest.fixture
def nylas_app() -> str:
    """An application that nobody has called for yet."""
    return str(new_id())


def limit(group: str = "grants") -> RateLimit:
    """The limit of a group at the rate that Nylas allows."""
    found = limit_of(group, RATE)
    assert found
    return found


class Worker:
    """A process that calls as fast as the line lets it; `seconds` are when it was let go."""

    def __init__(self, redis: Redis, application: str, *, held_up: float = 0.0) -> None:
        """Be held up for `held_up` seconds at most before each time it asks."""
        self.seconds: list[float] = []
        self._line = SharedLine(redis, application)
        self._clock = OwnClock(limit())
        self._held_up = held_up

    async def ask(self, *, bulk: bool = True, group: str = "grants") -> Answer:
        """Ask once, with all news."""
        news = self._clock.news()
        told = [(heard.believed, heard.seconds) for heard in news]
        answer = await self._line.ask(
            group, limit(group), bulk=bulk, known=self._clock.line, returning=False, news=told
        )
        self._clock.line = answer.line
        if answer.verdict != "tell":
            self._clock.told(news)
        if answer.verdict == "go":
            self._clock.went(answer.let_go)
            self.seconds.append(answer.let_go / 1_000_000)
        return answer

    async def work(self, calls: int) -> None:
        """Make so many calls."""
        while len(self.seconds) < calls:
            answer = await self.ask()
            await asyncio.sleep(answer.wait + self._held_up * (len(self.seconds) % 7) / 6)


@pytest.mark.long
async def test_no_sliding_second_holds_more_than_the_limit_though_processes_are_held_up(
    redis: Any, nylas_app: str
) -> None:
    workers = [Worker(redis, nylas_app, held_up=0.03) for _ in range(3)]
    await asyncio.gather(*(worker.work(50) for worker in workers))
    times = sorted(at for worker in workers for at in worker.seconds)
    assert most_in(1, times) <= RATE
    assert times[-1] - times[0] >= 2.9, "150 calls fill three seconds"


@pytest.mark.long
async def test_what_fell_behind_is_caught_up_within_the_limit(redis: Any, nylas_app: str) -> None:
    worker = Worker(redis, nylas_app)
    await worker.work(5)
    await asyncio.sleep(2)
    begin = len(worker.seconds)
    answers = [await worker.ask() for _ in range(4)]
    assert [answer.verdict for answer in answers] == ["go"] * 4, "somebody's first few calls go at once"
    await worker.work(begin + 60)
    assert most_in(1, worker.seconds) <= RATE


@pytest.mark.long
async def test_a_line_that_is_lost_is_told_of_what_the_processes_remember(redis: Any, nylas_app: str) -> None:
    workers = [Worker(redis, nylas_app) for _ in range(2)]
    working = [asyncio.create_task(worker.work(70)) for worker in workers]
    for _ in range(5):
        await asyncio.sleep(0.45)
        await redis.eval(LOST, 1, f"evergrant:budget:{nylas_app}:grants")
    await asyncio.gather(*working)
    assert most_in(1, [at for worker in workers for at in worker.seconds]) <= RATE


async def test_a_minute_of_detections_is_remembered_when_the_line_is_lost(redis: Any, nylas_app: str) -> None:
    worker = Worker(redis, nylas_app)
    await worker.ask(group="detect")
    await asyncio.sleep(0.15)
    worker._clock = OwnClock(limit("detect"))
    assert [(await worker.ask(group="detect")).verdict for _ in range(20)] == ["go"] * 20
    await redis.eval(LOST, 1, f"evergrant:budget:{nylas_app}:detect")
    assert (await worker.ask(group="detect")).verdict == "tell"
    answer = await worker.ask(group="detect")
    assert answer.verdict == "wait"
    assert 50 < answer.wait < 61


async def test_a_line_left_by_a_clock_that_was_put_back_makes_nobody_wait_for_it(redis: Any, nylas_app: str) -> None:
    worker = Worker(redis, nylas_app)
    await worker.work(10)
    await redis.eval(PUT_AHEAD, 1, f"evergrant:budget:{nylas_app}:grants")
    async with asyncio.timeout(5):
        await worker.work(70)
    assert most_in(1, worker.seconds) <= RATE


async def test_a_call_that_went_late_keeps_its_second_full_for_longer(redis: Any, nylas_app: str) -> None:
    line, two = SharedLine(redis, nylas_app), RateLimit(calls=2, window=1.0, interval=0.0, tolerance=0.0)

    async def ask(*news: tuple[int | None, float]) -> Answer:
        return await line.ask("grants", two, bulk=False, known="", returning=False, news=news)

    await ask()
    await asyncio.sleep(0.11)
    first, second = await ask(), await ask()
    assert 0.5 < (await ask()).wait <= 1.0
    assert (await ask((first.let_go, 0.6), (second.let_go, 0.7))).wait > 1.0


async def test_a_call_that_the_line_did_not_know_of_takes_a_place(redis: Any, nylas_app: str) -> None:
    line, two = SharedLine(redis, nylas_app), RateLimit(calls=2, window=1.0, interval=0.0, tolerance=0.0)

    async def ask(*news: tuple[int | None, float]) -> Answer:
        return await line.ask("grants", two, bulk=False, known="", returning=False, news=news)

    await ask()
    await asyncio.sleep(0.11)
    assert (await ask()).verdict == "go"
    told = await ask((None, 0.3))
    assert told.verdict == "wait"
    assert 0.3 < told.wait <= 0.7


async def test_after_push_backs_a_window_takes_longer_to_empty(redis: Any, nylas_app: str) -> None:
    """The way to Nylas is more uneven than was spared for; a second with many of them counts once."""
    line, one = SharedLine(redis, nylas_app), RateLimit(calls=1, window=200.0, interval=0.0, tolerance=0.0)

    async def wait() -> float:
        return (await line.ask("grants", one, bulk=False, known="", returning=False, news=[])).wait

    await wait()
    await asyncio.sleep(0.11)
    await wait()
    assert 199 < await wait() <= 200
    for _ in range(3):
        await line.hold("grants", one, 0.0)
    assert 201 < await wait() <= 202
    await asyncio.sleep(1.05)
    await line.hold("grants", one, 0.0)
    assert 202 < await wait() < 204 - 1


async def test_who_dies_at_the_head_of_the_line_holds_nobody_up_for_long(redis: Any, nylas_app: str) -> None:
    dead, alive = SharedLine(redis, nylas_app), Worker(redis, nylas_app)
    told = await dead.ask("grants", limit(), bulk=False, known="", returning=False, news=[])
    assert told.verdict == "wait"
    async with asyncio.timeout(2):
        await alive.work(3)


async def test_bulk_waits_for_whoever_came_later_with_somebody_waiting(redis: Any, nylas_app: str) -> None:
    bulk, somebody = Worker(redis, nylas_app), Worker(redis, nylas_app)
    await bulk.ask(bulk=True)
    await somebody.ask(bulk=False)
    await asyncio.sleep(0.11)
    assert (await bulk.ask(bulk=True)).verdict == "wait"
    assert (await somebody.ask(bulk=False)).verdict == "go"
    assert (await bulk.ask(bulk=True)).processes == 2


async def test_who_comes_back_from_its_own_clock_keeps_everybody_apart_until_the_others_have_come_back(
    redis: Any, nylas_app: str
) -> None:
    line, stranger = SharedLine(redis, nylas_app), SharedLine(redis, nylas_app)
    back = await line.ask("grants", limit(), bulk=False, known="", returning=True, news=[])
    assert back.verdict == "apart"
    assert 2.9 < back.wait <= 3.0
    await asyncio.sleep(0.2)
    for returning in (True, False):
        other = await stranger.ask("grants", limit(), bulk=False, known="", returning=returning, news=[])
        assert other.verdict == "apart"
        assert other.wait < 2.9, "all come back at the same time"


def test_a_call_went_late_by_what_it_took_longer_than_the_quickest() -> None:
    clock = OwnClock(limit())
    clock.line = "this line"
    for let_go in (5_000_000, 4_975_000, 5_000_000):
        clock.went(let_go)
    [late] = clock.news()
    assert late.believed == 4_975_000
    assert 0.02 < late.seconds < 0.03
    clock.told([late])
    assert clock.news() == []
    clock.line = "another line"
    assert [heard.believed for heard in clock.news()] == [None, None, None]
