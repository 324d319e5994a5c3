"""The end of a worker: what runs is let finish for a while, the rest is handed back, and then the process is gone."""

import os
import queue
import signal
import sys
import threading
import time
from typing import Any

import structlog
from celery.worker import state

from worker.pool import hand_back

log = structlog.get_logger()

CELERY: Any = state

FINISHES_FOR = 0.75
"""The part of the time in which tasks may finish; in what is left of it their rows are let go."""
AT_ONCE = 5.0
"""Seconds that tasks have to let go in, when they are not given any to finish."""


class Stopping:
    """Ends the worker by SIGTERM or SIGINT within so many seconds, and at once by a second one.

    Nothing is lost either way: a row that a task holds is let go, due again, and one whose process left without that
    is free when its lease ends.
    """

    def __init__(self, seconds: float) -> None:
        """Wait for the first signal."""
        self._seconds = seconds
        # A handler runs between two steps of the main thread, whatever lock that holds; this queue takes none.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        threading.Thread(target=self._see_to_it, name="evergrant-stopping", daemon=True).start()

    def before_work(self) -> None:
        """While nothing has begun yet, a signal just ends the process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))

    def at_work(self) -> None:
        """From now on a signal has the worker finish; it takes the place of Celery's own handler."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)

    def _told(self, number: int, _frame: Any) -> None:
        CELERY.should_stop = 0  # it takes nothing more, and waits for what runs
        self._signals.put(number)

    def _see_to_it(self) -> None:
        self._signals.get()
        gone_by = time.monotonic() + max(self._seconds, AT_ONCE)
        log.info("worker.stopping", seconds=self._seconds)
        try:
            self._signals.get(timeout=self._seconds * FINISHES_FOR)
            gone_by = time.monotonic() + AT_ONCE
        except queue.Empty:
            pass
        log.info("worker.hands_back", tasks=hand_back())
        time.sleep(max(0.0, gone_by - time.monotonic()))
        log.warning("worker.left", why="its tasks did not let go in time; their rows are free when their leases end")
        os._exit(0)
