"""Celery's execution pool for coroutine tasks: threads that wait, and one event loop that does the work."""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from billiard.einfo import ExceptionInfo
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.exceptions import SoftTimeLimitExceeded, Terminated
from celery.worker import state

from worker.loop import LoopThread

T = TypeVar("T")

# Celery marks a request as cancelled only after it has told the pool to end the job. A job that ended sooner would
# look revoked, and its message would be acknowledged: lost at each cold shutdown.
AFTER_THE_MARK = 0.05

LOOP = LoopThread()
_running: dict[int, "concurrent.futures.Future[Any]"] = {}
_limits = threading.local()
_handing_back = threading.Event()


class Killed(BaseException):
    """The coroutine was cancelled from outside. Not an Exception: Celery must not store it as a failure."""


def run_on_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a task's coroutine on the process' loop, inside the time limits of the job that this thread carries.

    Raises SoftTimeLimitExceeded when the limit ends it, Killed when a revoke or a shutdown does.
    """
    limit: float | None = min((seconds for seconds in getattr(_limits, "of_job", ()) if seconds), default=None)

    async def guarded() -> T:
        try:
            async with asyncio.timeout(limit) as deadline:
                return await work
        except TimeoutError:
            if deadline.expired():
                raise SoftTimeLimitExceeded(limit) from None
            raise

    if _handing_back.is_set():  # its message came at the last moment
        work.close()
        raise Killed
    future = LOOP.submit(guarded())
    _running[threading.get_ident()] = future
    if _handing_back.is_set():
        future.cancel()
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise Killed from None
    finally:
        _running.pop(threading.get_ident(), None)


def running() -> int:
    """Say how many tasks are under way."""
    return len(_running)


def hand_back() -> int:
    """Cancel what runs, so that it lets go of its rows; its messages stay as they are. Return how many tasks ran."""
    _handing_back.set()
    under_way = list(_running.values())
    for future in under_way:
        future.cancel()
    return len(under_way)


class _Job:
    """What Celery holds of a running job; its own `terminate` does nothing, since `terminate_job` did it."""

    def __init__(self, future: "concurrent.futures.Future[None]") -> None:
        self.future = future
        self.get = future.result

    def terminate(self, signal: object = None) -> None:
        """Nothing is left to do."""


class TaskPool(ThreadPool):
    """Celery's threads pool, with time limits, revoke and cold shutdown, which work by cancelling the coroutine.

    Named by `CELERY_CUSTOM_WORKER_POOL` and `-P custom`, the hook that Celery documents. Under Celery's own threads
    pool limits are ignored, a revoke raises NotImplementedError, and a cold shutdown waits for every task.
    """

    executor: concurrent.futures.ThreadPoolExecutor
    _submits = False

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        error_callback: Callable[..., Any] | None = None,
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Any:
        """Run one task in a thread."""

        def job() -> None:
            _limits.of_job = (soft_timeout, timeout)
            if accept_callback:
                accept_callback(threading.get_ident(), time.monotonic())
            try:
                result = target(*(args or ()), **(kwargs or {}))
            except Killed:
                # While the worker ends, the message stays unacknowledged, so that it is given back.
                if error_callback and not _handing_back.is_set() and not state.should_terminate:
                    try:
                        raise Terminated(15)
                    except Terminated:
                        error_callback(ExceptionInfo())
            else:
                if callback:
                    callback(result)

        self._submits = True
        try:
            return _Job(self.executor.submit(job))
        finally:
            self._submits = False

    def on_stop(self) -> None:
        """Wait for what runs (warm shutdown, and the last step of a cold one).

        Celery calls this from the handler of a signal, which may have come in the middle of a submit, in this very
        thread: that holds the executor's lock, and waiting for it here would never end. `on_terminate` comes anyway.
        """
        if not self._submits:
            super().on_stop()

    def terminate_job(self, pid: int, signal: object = None) -> None:
        """Cancel the coroutine of the job that runs in the thread `pid`."""
        if future := _running.get(pid):
            LOOP.loop.call_soon_threadsafe(LOOP.loop.call_later, AFTER_THE_MARK, future.cancel)

    def on_terminate(self) -> None:
        """End everything at once (cold shutdown)."""
        for future in list(_running.values()):
            future.cancel()
        self.executor.shutdown(wait=False, cancel_futures=True)
