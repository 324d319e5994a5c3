"""Running a worker or a beat in this process, until it is told to stop."""

import asyncio
import gc
import os
import socket
import warnings
from typing import Any

import structlog
from celery import signals
from celery.exceptions import SecurityWarning

from worker.app import make_app
from worker.doorbell import Doorbell
from worker.endpoints import drop_unnamed
from worker.garbage import collect_for_ever
from worker.pool import LOOP
from worker.runtime import Runtime, current, open_runtime, opens_with
from worker.settings import Settings
from worker.stopping import Stopping
from worker.sweeper import sweep_for_ever
from worker.watchdog import Watchdog

log = structlog.get_logger()


def run_worker(settings: Settings, *, redis_url: str, concurrency: int) -> int:
    """Work until SIGTERM (which lets running tasks finish for a while), or a second one; return the exit code.

    `concurrency` is both the number of tasks, and of calls to Nylas, that are in flight at once.
    """
    stopping = Stopping(settings.shutdown_seconds)
    stopping.before_work()
    app = make_app(redis_url)
    doorbell = Doorbell(app, bulk_messages=settings.bulk_messages).start()

    def start() -> "asyncio.Task[Runtime]":
        return asyncio.create_task(
            open_runtime(settings, ring=doorbell.ring, calls_in_flight=concurrency, redis_url=redis_url, watch_key=True)
        )

    opens_with(start)
    runtime = LOOP.run(current())
    LOOP.run(drop_unnamed(runtime.context, settings))
    LOOP.submit(sweep_for_ever(runtime.context))
    LOOP.submit(runtime.clock.keep_agreeing(runtime.context.database))
    LOOP.submit(collect_for_ever())

    def on_ready(**_: Any) -> None:
        # What is here now stays: looking through it again and again would hold calls up that were given leave.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)  # rows come and go by the hundred: looking less often saves a fifteenth
        stopping.at_work()
        Watchdog(redis_url, places=concurrency).start()
        log.info("worker.ready", concurrency=concurrency, pid=os.getpid())

    _leave_logging_alone()
    signals.worker_ready.connect(on_ready, weak=False)
    # Celery warns root of pickle, which no message of ours can hold.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        pool="worker.pool:TaskPool",
        concurrency=concurrency,
        without_mingle=True,
        without_gossip=True,
        hostname=f"evergrant-{os.getpid()}@{socket.gethostname()}",
        quiet=True,
    )
    try:
        worker.start()
    finally:  # not by Celery's signal of the end: a cold shutdown doesn't send it
        LOOP.settle()  # tasks that were cancelled let go of their rows, for which they need the database
        LOOP.run(runtime.close(), timeout=10)
        doorbell.stop()
        LOOP.stop()
    return int(worker.exitcode or 0)


def run_beat(redis_url: str) -> None:
    """Fire the schedule until told to stop. Any number of beats may run: one holds the lock, the others wait."""
    app = make_app(redis_url)
    _leave_logging_alone()
    log.info("beat.ready", pid=os.getpid())
    app.Beat(scheduler="worker.beating:Scheduler", quiet=True).run()


def _leave_logging_alone() -> None:
    """Celery sets logging up as it likes unless somebody says that they have."""
    signals.setup_logging.connect(lambda **_: None, weak=False)
