"""The bridge to asyncio: one loop for the process, whoever asks first, and an orderly end."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from worker.loop import LoopThread

THREADS = 50


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    """A loop of the test's own."""
    loop_thread = LoopThread()
    yield loop_thread
    loop_thread.stop()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads such as Celery's pool has."""
    with ThreadPoolExecutor(THREADS) as threads:
        yield threads


async def here() -> tuple[int, str]:
    """The loop and the thread that we run in."""
    return id(asyncio.get_running_loop()), threading.current_thread().name


def loops() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "evergrant-loop"]


def test_nothing_runs_before_somebody_asks(loop_thread: LoopThread) -> None:
    before = len(loops())
    assert loop_thread.run(here())[1] == "evergrant-loop"
    assert len(loops()) == before + 1


@pytest.mark.parametrize("_once_more", range(5))
def test_many_threads_that_ask_first_at_once_get_one_loop(
    loop_thread: LoopThread, threads: ThreadPoolExecutor, _once_more: int
) -> None:
    all_are_there = threading.Barrier(THREADS)
    before = len(loops())

    def ask(_: int) -> tuple[int, str]:
        all_are_there.wait(10)
        return loop_thread.run(here())

    assert len(set(threads.map(ask, range(THREADS)))) == 1
    assert len(loops()) == before + 1


def test_the_coroutines_of_several_threads_are_in_flight_together(
    loop_thread: LoopThread, threads: ThreadPoolExecutor
) -> None:
    """Each waits for all the others: one after the other, they would never end."""
    arrived: list[int] = []
    all_arrived = asyncio.Event()

    async def meet(number: int) -> int:
        arrived.append(number)
        if len(arrived) == THREADS:
            all_arrived.set()
        await all_arrived.wait()
        return number

    results = threads.map(lambda number: loop_thread.run(meet(number), timeout=10), range(THREADS))
    assert list(results) == list(range(THREADS))


def test_what_is_bound_to_a_threads_log_is_bound_in_its_coroutine(
    loop_thread: LoopThread, threads: ThreadPoolExecutor
) -> None:
    async def bound() -> dict[str, object]:
        await asyncio.sleep(0.01)
        return structlog.contextvars.get_contextvars()

    def ask(number: int) -> object:
        with structlog.contextvars.bound_contextvars(task_id=number):
            return loop_thread.run(bound())["task_id"]

    assert list(threads.map(ask, range(THREADS))) == list(range(THREADS))


def test_what_a_coroutine_binds_stays_its_own(loop_thread: LoopThread) -> None:
    async def bind() -> None:
        structlog.contextvars.bind_contextvars(secretly="bound")

    async def bound() -> dict[str, object]:
        return structlog.contextvars.get_contextvars()

    loop_thread.run(bind())
    assert "secretly" not in structlog.contextvars.get_contextvars()
    assert "secretly" not in loop_thread.run(bound())


def test_an_error_comes_back_to_the_thread_that_waits(loop_thread: LoopThread) -> None:
    async def fail() -> None:
        raise LookupError("there is none")

    with pytest.raises(LookupError, match="there is none"):
        loop_thread.run(fail())


class Work:
    """A coroutine that runs until it is cancelled, and then needs a while to clear up."""

    def __init__(self, *, clearing: float = 0.0) -> None:
        """Prepare."""
        self.runs, self.clears, self.cleared = threading.Event(), threading.Event(), threading.Event()
        self._clearing = clearing

    async def __call__(self) -> None:
        """Run."""
        try:
            self.runs.set()
            await asyncio.sleep(60)
        finally:
            self.clears.set()
            await asyncio.sleep(self._clearing)
            self.cleared.set()


def test_stop_cancels_what_runs_and_waits_for_its_finally_blocks(loop_thread: LoopThread) -> None:
    works = [Work(clearing=0.2) for _ in range(20)]
    futures = [loop_thread.submit(work()) for work in works]
    assert all(work.runs.wait(5) for work in works)

    loop_thread.stop()

    assert all(work.cleared.is_set() for work in works)
    for future in futures:
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(1)


def test_stop_does_not_interrupt_what_is_clearing_up_already(loop_thread: LoopThread) -> None:
    """At a cold shutdown the pool has cancelled each task by then; a second cancel would break its `finally` off."""
    work = Work(clearing=0.3)
    future = loop_thread.submit(work())
    assert work.runs.wait(5)
    future.cancel()
    assert work.clears.wait(5)

    loop_thread.stop()

    assert work.cleared.is_set()


def test_stop_does_not_interrupt_what_a_cancelled_task_shields(loop_thread: LoopThread) -> None:
    """So does a claim let go of its rows when a shutdown cancels its task."""
    runs, clears, let_go = threading.Event(), threading.Event(), threading.Event()

    async def let_rows_go() -> None:
        clears.set()
        await asyncio.sleep(0.3)
        let_go.set()

    async def hold() -> None:
        try:
            runs.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.shield(let_rows_go())
            raise

    future = loop_thread.submit(hold())
    assert runs.wait(5)
    future.cancel()
    assert clears.wait(5)

    loop_thread.stop()

    assert let_go.is_set()


def test_stop_waits_no_longer_than_it_may_for_what_does_not_end(loop_thread: LoopThread) -> None:
    work = Work(clearing=60)
    loop_thread.submit(work())
    assert work.runs.wait(5)
    [thread] = [thread for thread in loops() if thread is not threading.current_thread()][-1:]

    loop_thread.stop(grace=0.2)

    thread.join(2)
    assert not thread.is_alive()
    assert not work.cleared.is_set()


def test_stop_ends_the_thread_and_may_be_said_twice_or_too_early() -> None:
    before = len(loops())
    loop_thread = LoopThread()
    loop_thread.stop()
    loop_thread.run(here())
    loop_thread.stop()
    loop_thread.stop()
    assert len(loops()) == before
