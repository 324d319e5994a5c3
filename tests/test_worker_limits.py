"""What ends a task's coroutine, as its pool thread sees it: a limit, a cancel, or the task itself."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from celery.exceptions import SoftTimeLimitExceeded, Terminated
from celery.worker import state

from worker.pool import Killed, TaskPool, _running, run_on_loop


class Ended:
    """How a job ended: the callbacks that Celery hands to the pool, and the error that its thread saw."""

    def __init__(self) -> None:
        """Nothing has ended yet."""
        self.thread: int | None = None
        self.result: object = None
        self.told: list[object] = []
        self.error: BaseException | None = None
        self.began, self.over = threading.Event(), threading.Event()

    def run(self, pool: TaskPool, work: Callable[[], Coroutine[Any, Any, object]], **limits: float) -> "Ended":
        """Run the work in the pool."""

        def target() -> object:
            try:
                return run_on_loop(work())
            except BaseException as error:
                self.error = error
                raise
            finally:
                self.over.set()

        self.job = pool.on_apply(
            target, callback=self.told.append, accept_callback=self._accepted, error_callback=self.told.append, **limits
        )
        return self

    def _accepted(self, thread: int, _at: float) -> None:
        self.thread = thread
        self.began.set()

    def wait(self) -> "Ended":
        """Wait for the end."""
        with contextlib.suppress(SoftTimeLimitExceeded, TimeoutError):  # `error` has it
            self.job.get(10)
        return self


@pytest.fixture
def pool() -> Iterator[TaskPool]:
    """A pool with some threads."""
    pool = TaskPool(4)
    yield pool
    pool.on_terminate()


@pytest.fixture
def terminating() -> Iterator[None]:
    """The worker has been told to end at once."""
    state.should_terminate = True
    yield
    state.should_terminate = None


async def quick() -> str:
    await asyncio.sleep(0.01)
    return "done"


async def slow() -> str:
    await asyncio.sleep(60)
    return "done"


async def gives_up() -> str:
    async with asyncio.timeout(0.05):
        await asyncio.sleep(60)
    return "done"


def test_a_result_is_told(pool: TaskPool) -> None:
    assert Ended().run(pool, quick, soft_timeout=5).wait().told == ["done"]


@pytest.mark.parametrize("limits", [{"soft_timeout": 0.1}, {"timeout": 0.1}, {"soft_timeout": 0.1, "timeout": 30}])
def test_a_limit_ends_the_coroutine(pool: TaskPool, limits: dict[str, float]) -> None:
    ended = Ended().run(pool, slow, **limits).wait()
    assert isinstance(ended.error, SoftTimeLimitExceeded)
    assert ended.error.args == (0.1,)


def test_a_limit_of_one_job_is_not_the_limit_of_the_next_in_its_thread() -> None:
    pool = TaskPool(1)
    assert isinstance(Ended().run(pool, slow, soft_timeout=0.05).wait().error, SoftTimeLimitExceeded)

    async def longer() -> str:
        await asyncio.sleep(0.2)
        return "done"

    assert Ended().run(pool, longer).wait().told == ["done"]
    pool.on_stop()


@pytest.mark.parametrize("limits", [{}, {"soft_timeout": 5.0}])
def test_a_timeout_of_the_tasks_own_is_not_taken_for_the_limit(pool: TaskPool, limits: dict[str, float]) -> None:
    ended = Ended().run(pool, gives_up, **limits).wait()
    assert type(ended.error) is TimeoutError


def test_the_end_by_a_limit_comes_after_the_finally_block(pool: TaskPool) -> None:
    cleared = threading.Event()

    async def clears() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            cleared.set()

    ended = Ended().run(pool, clears, soft_timeout=0.1)
    assert ended.over.wait(5)
    assert cleared.is_set()


def test_a_revoke_ends_a_coroutine_and_tells_celery_that_it_was_terminated(pool: TaskPool) -> None:
    ended, other = Ended(), Ended()
    ended.run(pool, slow)
    other.run(pool, slow)
    assert ended.began.wait(5)
    assert other.began.wait(5)
    assert ended.thread
    wait_until_it_runs(ended.thread)

    pool.terminate_job(ended.thread)

    assert isinstance(ended.wait().error, Killed)
    [told] = ended.told
    assert isinstance(told, ExceptionInfo)
    assert isinstance(told.exception.exc, Terminated)
    assert not other.over.is_set()


@pytest.mark.usefixtures("terminating")
def test_a_cold_shutdown_ends_all_and_tells_celery_nothing(pool: TaskPool) -> None:
    """What it is told nothing of stays unacknowledged, and is given back."""
    jobs = [Ended().run(pool, slow) for _ in range(4)]
    for ended in jobs:
        assert ended.began.wait(5)
        assert ended.thread
        wait_until_it_runs(ended.thread)
    pool.on_terminate()
    for ended in jobs:
        assert isinstance(ended.wait().error, Killed)
        assert ended.told == []


def test_killed_is_no_exception_that_a_task_or_celery_would_catch() -> None:
    assert not issubclass(Killed, Exception)


def test_a_revoke_of_a_thread_that_runs_nothing_does_nothing(pool: TaskPool) -> None:
    pool.terminate_job(threading.get_ident())


def wait_until_it_runs(thread: int) -> None:
    """A job is accepted a moment before its coroutine is on the loop."""
    for _ in range(500):
        if thread in _running:
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never ran")
