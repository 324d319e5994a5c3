"""The watchdog: ends a worker that lives and does nothing, so that its supervisor starts it anew."""

import asyncio
import concurrent.futures
import os
import threading
import time
from collections.abc import Callable

import structlog
from celery.worker import state
from redis import Redis
from redis.exceptions import RedisError

from models.kinds import Queue
from worker.app import KEY_PREFIX
from worker.pool import LOOP, hand_back, running

log = structlog.get_logger()

SILENT = 30.0
LOOKS_EVERY = 3.0
LETS_GO = 3.0
EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: try again."""

_taken = 0


def took() -> None:
    """Note that a message was taken."""
    global _taken
    _taken += 1


class Watchdog:
    """Looks every few seconds, from a thread of its own, whether this worker does what it is there for.

    It does not if its loop answers nobody, or if messages wait in Redis, places are free, and yet none was taken: look
    after look, for 30 s. Time in which the whole process stood still counts as one look, and a Redis that is away, or
    that has nothing for us, is no fault of ours.
    """

    def __init__(self, redis_url: str, *, places: int) -> None:
        """`places` is how many tasks may run at once."""
        self._redis = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        self._places, self._seen = places, 0
        self._looks = {"its loop is deaf": 0, "it takes no messages": 0}

    def start(self) -> None:
        """Look from now on."""
        threading.Thread(target=self._watch, name="evergrant-watchdog", daemon=True).start()

    def _watch(self) -> None:
        tests: dict[str, Callable[[], bool]] = dict(zip(self._looks, (_is_deaf, self._takes_nothing), strict=True))
        while state.should_stop is None:
            time.sleep(LOOKS_EVERY)
            for reason, is_so in tests.items():
                self._looks[reason] = self._looks[reason] + 1 if is_so() else 0
                if self._looks[reason] * LOOKS_EVERY >= SILENT:
                    _end(reason)

    def _takes_nothing(self) -> bool:
        before, self._seen = self._seen, _taken
        if self._seen != before or running() >= self._places:
            return False
        try:
            return any(self._redis.exists(KEY_PREFIX + queue.value) for queue in Queue)
        except (RedisError, OSError):
            return False


def _is_deaf() -> bool:
    """Whether the loop takes longer for nothing than any step of a task may."""
    try:
        LOOP.run(asyncio.sleep(0), timeout=LOOKS_EVERY)
    except concurrent.futures.TimeoutError:
        return True
    return False


def _end(reason: str) -> None:
    log.error("watchdog.ends_worker", reason=reason, for_seconds=SILENT, tasks=hand_back())
    time.sleep(LETS_GO)
    os._exit(EXIT_CODE)
