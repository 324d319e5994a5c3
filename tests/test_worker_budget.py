"""The budget of calls: shared by all processes, and fair to whoever has somebody waiting."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from models.columns import new_id
from tests.budgets import RATE, Process, most_in, processes, taken
from worker.budget import SharedBudget, in_bulk

FOREVER = 86_400


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Any]:
    """A client of the tests' own."""
    redis = Redis.from_url(valkey)
    yield redis
    await redis.aclose()


@pytest.fixture
def nylas_app() -> str:
    """An application that nobody has called for yet."""
    return str(new_id())


@pytest.fixture
async def process(valkey: str, nylas_app: str) -> AsyncIterator[Process]:
    """Make the budgets of processes, to which Redis is never away, however busy the machine."""
    async with processes(valkey, nylas_app, patience=30) as process:
        yield process


async def test_two_processes_share_one_rate(process: Process) -> None:
    begin = time.monotonic()
    ours, theirs = await asyncio.gather(taken(process(), 40), taken(process(), 40))
    times = sorted(ours + theirs)
    assert times[-1] - begin >= (80 - 4) / RATE
    assert times[-1] - begin < 4 * 80 / RATE, "it is no brake either"
    assert most_in(1, times) <= RATE + 2, "two may wake up late; what the line itself counts is strict"


async def test_groups_and_applications_have_each_their_own(process: Process) -> None:
    budget, stranger = process(rate=5), process(application=str(new_id()), rate=5)
    begin = time.monotonic()
    await asyncio.gather(taken(budget, 5, "grants"), taken(budget, 5, "connectors"), taken(stranger, 5, "grants"))
    assert time.monotonic() - begin < 2.0


async def test_whoever_has_somebody_waiting_goes_before_bulk(process: Process) -> None:
    budget = process()
    order: list[str] = []

    async def call(name: str, *, bulk: bool) -> None:
        in_bulk.set(bulk)
        await budget.take("grants")
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(call(f"bulk {number}", bulk=True))
        await asyncio.sleep(0.15)
        for number in range(3):
            group.create_task(call(f"somebody {number}", bulk=False))

    assert [name for name in order if name.startswith("bulk")] == [f"bulk {number}" for number in range(12)]
    assert [name for name in order if name.startswith("somebody")] == [f"somebody {number}" for number in range(3)]
    assert order.index("bulk 11") > order.index("somebody 2"), "they came when most of the bulk was still waiting"


async def test_bulk_of_many_processes_makes_nobody_wait_for_all_of_them(process: Process) -> None:
    crowd = [asyncio.create_task(taken(process(rate=10), 8, bulk=True)) for _ in range(6)]
    await asyncio.sleep(1.5)
    begin = time.monotonic()
    await process(rate=10).take("grants")
    assert time.monotonic() - begin < 0.5, "a place behind the bulk that is at the head in six processes is 0.6 s away"
    for one in crowd:
        one.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_bulk_gets_one_call_in_ten_when_somebody_waits_all_the_time(process: Process) -> None:
    one, other = process(rate=200), process(rate=200)
    asking = [asyncio.create_task(taken(budget, 400)) for budget in (one, other)]
    await asyncio.sleep(0.2)
    await taken(other, 4, bulk=True)
    assert not any(everybody.done() for everybody in asking)
    for everybody in asking:
        everybody.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_what_nylas_pushes_back_waits_in_every_process_and_other_groups_do_not(process: Process) -> None:
    one, other = process(), process()
    await one.pushed_back("grants", timedelta(seconds=0.8))
    begin = time.monotonic()

    async def until_taken(budget: SharedBudget, group: str) -> float:
        await budget.take(group)
        return time.monotonic() - begin

    ours, theirs, elsewhere = await asyncio.gather(
        until_taken(one, "grants"), until_taken(other, "grants"), until_taken(other, "connectors")
    )
    assert min(ours, theirs) >= 0.7
    assert elsewhere < 0.5


async def test_a_push_back_reaches_those_who_wait_already(process: Process) -> None:
    one, other = process(rate=2), process(rate=2)
    await taken(other, 2)
    waiting = asyncio.create_task(taken(other, 1))
    await asyncio.sleep(0.1)
    await one.pushed_back("grants", timedelta(seconds=1.5))
    begin = time.monotonic()
    await waiting
    assert time.monotonic() - begin >= 1.4


async def test_a_shorter_push_back_does_not_undo_a_longer_one(process: Process) -> None:
    one, other = process(), process()
    await one.pushed_back("grants", timedelta(seconds=0.6))
    await other.pushed_back("grants", timedelta(seconds=0.01))
    begin = time.monotonic()
    await other.take("grants")
    assert time.monotonic() - begin >= 0.5


async def test_twenty_detections_go_at_once_and_the_next_waits_for_the_minute(process: Process) -> None:
    one, other = process(), process()
    async with asyncio.timeout(5):
        await asyncio.gather(taken(one, 12, "detect"), taken(other, 8, "detect"))
    for budget in (one, other):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(budget.take("detect"), 0.5)


async def test_a_rate_of_0_is_no_limit_and_asks_nobody(process: Process, redis: Any, nylas_app: str) -> None:
    budget = process(rate=0)
    begin = time.monotonic()
    await asyncio.gather(taken(budget, 1000), taken(budget, 100, "detect"))
    await budget.pushed_back("grants", timedelta(seconds=60))
    await budget.take("grants")
    assert time.monotonic() - begin < 1.0
    assert await redis.keys(f"*{nylas_app}*") == []


async def test_what_it_keeps_in_redis_is_one_small_value_that_ends(
    process: Process, redis: Any, nylas_app: str
) -> None:
    await asyncio.gather(*(taken(process(rate=500), 60) for _ in range(4)))
    [key] = await redis.keys(f"*{nylas_app}*")
    assert key == f"evergrant:budget:{nylas_app}:grants".encode()
    assert 0 < await redis.ttl(key) <= FOREVER
    assert await redis.strlen(key) < 8000


async def test_a_waiter_that_is_cancelled_is_passed_over(process: Process) -> None:
    budget = process()
    waiters = [asyncio.create_task(budget.take("grants")) for _ in range(6)]
    await asyncio.sleep(0)
    for cancelled in waiters[1:5]:
        cancelled.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiters, return_exceptions=True)
        await budget.take("grants")
    assert not waiters[0].cancelled()
    assert not waiters[5].cancelled()


async def test_who_is_cancelled_at_the_head_of_the_line_holds_nobody_up(process: Process) -> None:
    one, other = process(), process()
    await one.pushed_back("grants", timedelta(seconds=0.5))
    head = asyncio.create_task(one.take("grants"))
    await asyncio.sleep(0.1)
    behind = [asyncio.create_task(budget.take("grants")) for budget in (one, other)]
    await asyncio.sleep(0.1)
    head.cancel()
    async with asyncio.timeout(2):
        await asyncio.gather(*behind)
    assert head.cancelled()
