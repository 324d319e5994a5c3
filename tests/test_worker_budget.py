"""The budget of calls: shared by all processes, kept without Redis, and fair to whoever has somebody waiting."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from ingress.children import free_port
from ingress.embedded import start_valkey
from models.columns import new_id
from worker import budget as budget_module
from worker.budget import SharedBudget, in_bulk

RATE = 50
Process = Callable[..., SharedBudget]


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Any]:
    """A client as the runtime makes it."""
    redis = Redis.from_url(valkey, socket_timeout=0.5, socket_connect_timeout=0.5)
    yield redis
    await redis.aclose()
    patient: Any = Redis.from_url(valkey, socket_timeout=20)
    await patient.ping()  # a pause is over
    await patient.aclose()


@pytest.fixture
def nylas_app() -> str:
    """An application that nobody has called for yet."""
    return str(new_id())


@pytest.fixture
async def process(valkey: str, nylas_app: str) -> AsyncIterator[Process]:
    """Make the budgets of processes, each with a connection of its own."""
    opened: list[Any] = []

    def process(*, url: str = valkey, application: str = nylas_app, rate: float = RATE) -> SharedBudget:
        opened.append(Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5))
        return SharedBudget(opened[-1], application=application, rate=rate)

    yield process
    for redis in opened:
        await redis.aclose()


async def taken(budget: SharedBudget, many: int, group: str = "grants") -> list[float]:
    """Take so often, all at once; return when each was let go."""

    async def one() -> float:
        await budget.take(group)
        return time.monotonic()

    return await asyncio.gather(*(one() for _ in range(many)))


def most_in_a_second(times: list[float]) -> int:
    """The most that any sliding second holds."""
    return max(sum(1 for other in times if begin <= other < begin + 1) for begin in times)


async def test_two_processes_share_one_rate(process: Process) -> None:
    one, other = process(), process()
    begin = time.monotonic()
    ours, theirs = await asyncio.gather(taken(one, 40), taken(other, 40))
    times = sorted(ours + theirs)
    assert times[-1] - begin >= (80 - 2) / RATE
    assert most_in_a_second(times) <= RATE + 3, "one more at once, and one of each process that woke up late"
    assert times[-1] - begin < 4 * 80 / RATE, "it is no brake either"


async def test_groups_and_applications_have_each_their_own(process: Process) -> None:
    budget, stranger = process(rate=5), process(application=str(new_id()), rate=5)
    begin = time.monotonic()
    await asyncio.gather(taken(budget, 2, "grants"), taken(budget, 2, "connect"), taken(stranger, 2, "grants"))
    assert time.monotonic() - begin < 1.0


async def test_whoever_has_somebody_waiting_goes_before_bulk(process: Process) -> None:
    budget = process()
    order: list[str] = []

    async def call(name: str, *, bulk: bool) -> None:
        in_bulk.set(bulk)
        await budget.take("grants")
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(call(f"bulk {number}", bulk=True))
        await asyncio.sleep(0.03)
        for number in range(3):
            group.create_task(call(f"somebody {number}", bulk=False))

    begun = order.index("somebody 0")
    assert begun < 6, "they came when most of the bulk was still waiting"
    assert order[begun : begun + 3] == ["somebody 0", "somebody 1", "somebody 2"]
    assert [name for name in order if name.startswith("bulk")] == [f"bulk {number}" for number in range(10)]


async def test_what_nylas_pushes_back_waits_in_every_process_and_other_groups_do_not(process: Process) -> None:
    one, other = process(), process()
    await one.pushed_back("grants", timedelta(seconds=0.8))
    begin = time.monotonic()

    async def until_taken(budget: SharedBudget, group: str) -> float:
        await budget.take(group)
        return time.monotonic() - begin

    ours, theirs, elsewhere = await asyncio.gather(
        until_taken(one, "grants"), until_taken(other, "grants"), until_taken(other, "connect")
    )
    assert min(ours, theirs) >= 0.7
    assert elsewhere < 0.5


async def test_a_shorter_push_back_does_not_undo_a_longer_one(process: Process) -> None:
    budget = process()
    await budget.pushed_back("grants", timedelta(seconds=0.6))
    await budget.pushed_back("grants", timedelta(seconds=0.01))
    begin = time.monotonic()
    await budget.take("grants")
    assert time.monotonic() - begin >= 0.5


async def test_without_redis_a_process_keeps_to_half_the_rate(process: Process) -> None:
    budget = process(url=f"redis://127.0.0.1:{free_port()}/0")
    begin = time.monotonic()
    with capture_logs() as logs:
        times = sorted(await taken(budget, 20))
    assert times[-1] - begin >= 19 / (RATE / 2) - 0.02
    assert [entry["event"] for entry in logs] == ["budget.without_redis"]


async def test_without_redis_a_push_back_still_holds(process: Process) -> None:
    budget = process(url=f"redis://127.0.0.1:{free_port()}/0")
    await budget.pushed_back("grants", timedelta(seconds=0.5))
    begin = time.monotonic()
    await budget.take("grants")
    assert time.monotonic() - begin >= 0.4


async def test_without_any_redis_at_all_it_still_paces(nylas_app: str) -> None:
    begin = time.monotonic()
    await taken(SharedBudget(None, application=nylas_app, rate=RATE), 11)
    assert time.monotonic() - begin >= 10 / (RATE / 2) - 0.02


async def test_it_goes_back_to_redis_when_that_is_back(
    process: Process, tmp_path: Path, nylas_app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "WITHOUT_REDIS", timedelta(seconds=0.3))
    port = free_port()
    server, url = await asyncio.to_thread(start_valkey, tmp_path, keep=False, port=port)
    try:
        budget = process(url=url)
        await budget.take("grants")
        await asyncio.to_thread(server.stop)
        await budget.take("grants")

        server, _ = await asyncio.to_thread(start_valkey, tmp_path, keep=False, port=port)
        await asyncio.sleep(0.4)
        await budget.take("grants")
        redis: Any = Redis.from_url(url)
        assert await redis.keys("*") == [f"evergrant:budget:{nylas_app}:grants".encode()]
        await redis.aclose()
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_redis_that_hangs_costs_half_a_second_once(redis: Any, nylas_app: str) -> None:
    budget = SharedBudget(redis, application=nylas_app, rate=RATE)
    await budget.take("grants")
    await redis.execute_command("CLIENT", "PAUSE", 1200, "ALL")
    begin = time.monotonic()
    await taken(budget, 10)
    assert 0.4 < time.monotonic() - begin < 1.8


async def test_a_redis_that_hangs_makes_a_push_back_wait_half_a_second_at_most(redis: Any, nylas_app: str) -> None:
    budget = SharedBudget(redis, application=nylas_app, rate=RATE)
    await budget.take("grants")
    await redis.execute_command("CLIENT", "PAUSE", 1200, "ALL")
    begin = time.monotonic()
    await budget.pushed_back("grants", timedelta(seconds=0))
    assert time.monotonic() - begin < 1.5


async def test_a_rate_of_0_is_no_limit_and_asks_nobody(process: Process, redis: Any, nylas_app: str) -> None:
    budget = process(rate=0)
    begin = time.monotonic()
    await taken(budget, 1000)
    assert time.monotonic() - begin < 1.0
    assert await redis.keys(f"*{nylas_app}*") == []


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


async def test_a_waiter_that_is_cancelled_as_its_turn_comes_hands_it_on(nylas_app: str) -> None:
    turnstile = budget_module.Turnstile()
    passed: list[str] = []

    async def go(name: str) -> None:
        async with turnstile.turn():
            passed.append(name)

    async with asyncio.timeout(5):
        async with turnstile.turn():
            first, second = asyncio.create_task(go("first")), asyncio.create_task(go("second"))
            await asyncio.sleep(0)
        first.cancel()  # the turn is first's already, but it has not run yet
        await asyncio.gather(first, second, return_exceptions=True)
        await go("third")
    assert passed == ["second", "third"]


async def test_who_is_cancelled_while_it_holds_the_turn_hands_it_on(process: Process) -> None:
    budget = process()
    await budget.pushed_back("grants", timedelta(seconds=0.5))
    holder = asyncio.create_task(budget.take("grants"))
    await asyncio.sleep(0.1)
    waiter = asyncio.create_task(budget.take("grants"))
    await asyncio.sleep(0)
    holder.cancel()
    async with asyncio.timeout(5):
        await waiter
    assert holder.cancelled()
