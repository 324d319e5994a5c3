"""The budget of calls when Redis is away, hangs, or comes back: each process keeps to its share."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from ingress.children import Child, free_port
from ingress.embedded import start_valkey
from models.columns import new_id
from tests.budgets import RATE, Process, most_in, processes, taken
from worker import budget as budget_module
from worker.budget import SharedBudget


@pytest.fixture
def nylas_app() -> str:
    """An application that nobody has called for yet."""
    return str(new_id())


@pytest.fixture
async def process(valkey: str, nylas_app: str) -> AsyncIterator[Process]:
    """Make the budgets of processes."""
    async with processes(valkey, nylas_app) as process:
        yield process


@pytest.fixture
async def paused(valkey: str) -> AsyncIterator[Any]:
    """A client to pause the Valkey of all tests with; at the end the pause is over."""
    redis: Any = Redis.from_url(valkey, socket_timeout=20)
    yield redis
    await redis.ping()
    await redis.aclose()


class Server:
    """A Valkey that can be stopped and started again on its port."""

    def __init__(self, directory: Path) -> None:
        """Start it."""
        self._directory, self._port = directory, free_port()
        self.start()

    def start(self) -> None:
        """Start it, with nothing in it."""
        self._child: Child
        self._child, self.url = start_valkey(self._directory, keep=False, port=self._port)

    def stop(self) -> None:
        """Stop it."""
        self._child.stop()


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    """Keep a server for the length of the block."""
    server = Server(directory)
    try:
        yield server
    finally:
        server.stop()


async def test_a_process_keeps_to_half_the_rate(process: Process) -> None:
    budget = process(url=f"redis://127.0.0.1:{free_port()}/0")
    begin = time.monotonic()
    with capture_logs() as logs:
        times = await taken(budget, 20)
    assert times[-1] - begin >= 19 / (RATE / 2) - 0.02
    assert [entry["event"] for entry in logs] == ["budget.without_redis"]


async def test_four_processes_that_knew_of_each_other_keep_to_a_quarter_each(tmp_path: Path, nylas_app: str) -> None:
    with running(tmp_path) as server:
        async with processes(server.url, nylas_app) as process:
            four = [process() for _ in range(4)]
            await asyncio.gather(*(taken(budget, 5) for budget in four))
            await asyncio.to_thread(server.stop)
            times = await asyncio.gather(*(taken(budget, 14) for budget in four))
        server.start()
    assert max(most_in(1, own) for own in times) <= RATE // 4 + 1, "one may wake up late"
    assert most_in(1, [at for own in times for at in own]) <= RATE + 2


async def test_a_push_back_still_holds(process: Process) -> None:
    budget = process(url=f"redis://127.0.0.1:{free_port()}/0")
    await budget.pushed_back("grants", timedelta(seconds=0.5))
    begin = time.monotonic()
    await budget.take("grants")
    assert time.monotonic() - begin >= 0.4


async def test_without_any_redis_at_all_it_still_paces(nylas_app: str) -> None:
    begin = time.monotonic()
    await taken(SharedBudget(None, application=nylas_app, rate=RATE), 11)
    assert time.monotonic() - begin >= 10 / (RATE / 2) - 0.02


async def test_half_of_the_detections_of_a_minute_are_its_share(nylas_app: str) -> None:
    budget = SharedBudget(None, application=nylas_app, rate=RATE)
    async with asyncio.timeout(2):
        await taken(budget, 10, "detect")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(budget.take("detect"), 0.3)


async def test_whoever_has_somebody_waiting_goes_before_bulk_but_one_in_ten_is_bulks(nylas_app: str) -> None:
    budget = SharedBudget(None, application=nylas_app, rate=200)
    bulk = asyncio.create_task(taken(budget, 4, bulk=True))
    await asyncio.sleep(0)
    with_somebody = await taken(budget, 40)
    in_bulk = await bulk
    assert sum(at < with_somebody[-1] for at in in_bulk) in (3, 4)
    assert sum(at < in_bulk[1] for at in with_somebody) >= 9


async def test_it_goes_back_to_redis_when_that_is_back(
    tmp_path: Path, nylas_app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "WITHOUT_REDIS", timedelta(seconds=0.3))
    with running(tmp_path) as server:
        async with processes(server.url, nylas_app) as process:
            budget = process()
            await budget.take("grants")
            await asyncio.to_thread(server.stop)
            await budget.take("grants")

            await asyncio.to_thread(server.start)
            await asyncio.sleep(0.4)
            await budget.take("grants")
        redis: Any = Redis.from_url(server.url)
        assert await redis.keys("*") == [f"evergrant:budget:{nylas_app}:grants".encode()]
        await redis.aclose()


@pytest.mark.long
async def test_no_second_is_too_full_when_redis_goes_and_comes_back(tmp_path: Path, nylas_app: str) -> None:
    """They notice at different times that it is back, and come back to it together, once and for all."""
    with running(tmp_path) as server, capture_logs() as logs:
        async with processes(server.url, nylas_app) as process:
            working = [asyncio.create_task(taken(process(), 240)) for _ in range(2)]
            await asyncio.sleep(1)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            times = await asyncio.gather(*working)
    assert most_in(1, [at for own in times for at in own]) <= RATE + 2, "two may wake up late"
    assert [entry["event"] for entry in logs].count("budget.apart") <= 2, "each waits for the other once"


async def test_a_redis_that_hangs_costs_half_a_second_once(process: Process, paused: Any) -> None:
    budget = process()
    await budget.take("grants")
    await paused.execute_command("CLIENT", "PAUSE", 1200, "ALL")
    begin = time.monotonic()
    await taken(budget, 10)
    assert 0.4 < time.monotonic() - begin < 1.8


async def test_a_redis_that_hangs_makes_a_push_back_wait_half_a_second_at_most(process: Process, paused: Any) -> None:
    budget = process()
    await budget.take("grants")
    await paused.execute_command("CLIENT", "PAUSE", 1200, "ALL")
    begin = time.monotonic()
    await budget.pushed_back("grants", timedelta(seconds=0))
    assert time.monotonic() - begin < 1.5
