"""The bridge: Celery's threads hand their coroutines to the one event loop of the process."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """An event loop that runs in a thread of its own, started at first use.

    One loop per process, so that all tasks in flight share one HTTP pool and one database engine: both belong to the
    loop that they were made in, and fail on another.
    """

    def __init__(self) -> None:
        """Prepare; the thread starts at first use (so nothing runs before a fork)."""
        self._lock = threading.Lock()
        self._submitted: set[concurrent.futures.Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; the lock keeps two threads from each making the first one."""
        with self._lock:
            if self._loop is None:
                loop = _new_loop()
                self._thread = threading.Thread(target=self._run, args=(loop,), name="evergrant-loop", daemon=True)
                self._loop = loop
                self._thread.start()
            return self._loop

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine on the loop, from any other thread."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        self._submitted.add(future)
        future.add_done_callback(self._submitted.discard)
        return future

    def run(self, work: Coroutine[Any, Any, T], *, timeout: float | None = None) -> T:
        """Run a coroutine on the loop and wait for its result."""
        return self.submit(work).result(timeout)

    def settle(self, *, grace: float = 5.0) -> None:
        """Cancel what was submitted and still runs, and wait up to `grace` seconds until all has cleared up.

        Each is cancelled once, and nothing else is: what clears up already, or is shielded, is let finish.
        """
        with self._lock:
            loop = self._loop
        if loop is None:
            return
        for future in list(self._submitted):
            future.cancel()
        asyncio.run_coroutine_threadsafe(_all_ended(grace), loop).result(grace + 5)

    def stop(self, *, grace: float = 5.0) -> None:
        """Settle, and end the thread."""
        self.settle(grace=grace)
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(grace)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()


async def _all_ended(grace: float) -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        await asyncio.wait(rest, timeout=grace)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
