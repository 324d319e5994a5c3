"""A real worker in a process of its own, on the product's app and pool, whose tasks tell Valkey what they do."""

import asyncio
import faulthandler
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from celery import Celery, signals
from redis import Redis

from models.kinds import Queue
from worker.app import KEY_PREFIX, make_app
from worker.pool import LOOP, run_on_loop
from worker.task import ContextTask

ROOT = Path(__file__).parent.parent
HOLD = "probe.hold"
QUEUE = Queue.INTERACTIVE.value


class CoroutineTask(ContextTask):
    """A ContextTask without a context."""

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run the coroutine in the way of the product."""
        run_on_loop(cast("Coroutine[Any, Any, None]", self.run(*args, **kwargs)))


def probe_app(url: str, **conf: Any) -> "Celery[Any]":
    """The product's app with one task of ours instead of all of its own."""
    app = make_app(url)
    app.conf.update({"imports": (), "beat_schedule": {}, "worker_soft_shutdown_timeout": 0, **conf})
    redis = Redis.from_url(url)  # not its coroutines: they may wait for ever once they are cancelled

    @app.task(name=HOLD, base=CoroutineTask, shared=False)
    async def hold(story: str, seconds: float) -> None:
        """Say that we began; wait so long, or until told to go on; say how it ended, and that `finally` ran."""
        me = json.dumps([os.getpid(), id(asyncio.get_running_loop())])
        redis.sadd(f"{story}:where", me)
        try:
            redis.rpush(f"{story}:began", 1)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                if redis.exists(f"{story}:go"):
                    break
                await asyncio.sleep(0.25)
            redis.rpush(f"{story}:done", 1)
        finally:
            await asyncio.sleep(0.01)
            redis.rpush(f"{story}:ended", 1)

    return app


def main(url: str, options: str) -> int:
    """Work until a signal comes; SIGUSR2 makes each thread say where it is."""
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    chosen = json.loads(options)
    concurrency = chosen.pop("concurrency")
    app = probe_app(url, **chosen)

    def on_ready(**_: Any) -> None:
        Redis.from_url(url).set(f"ready:{os.getpid()}", 1)

    signals.worker_ready.connect(on_ready, weak=False)
    worker = app.Worker(
        pool="worker.pool:TaskPool", concurrency=concurrency, without_mingle=True, without_gossip=True, loglevel="INFO"
    )
    worker.start()
    LOOP.stop()  # not by the signal worker_shutdown: a cold shutdown does not send it
    return int(worker.exitcode or 0)


class ProbeWorker:
    """The parent's side: the process, and what its tasks have told."""

    def __init__(self, url: str, folder: Path, *, concurrency: int, **conf: Any) -> None:
        """Start it, and wait until it is ready."""
        self.redis: Any = Redis.from_url(url, decode_responses=True)
        self.log = folder / "worker.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.celery_probe", url, json.dumps({"concurrency": concurrency, **conf})],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "C_FORCE_ROOT": "1"},
            )
        try:
            self.until(lambda: self.redis.exists(f"ready:{self.process.pid}"))
        except BaseException:
            self.kill()
            raise

    def told(self, story: str, what: str) -> int:
        """How many tasks of a story have told this: `began`, `done` or `ended`."""
        return int(self.redis.llen(f"{story}:{what}"))

    @property
    def waiting(self) -> int:
        """How many messages stand in the queue."""
        return int(self.redis.llen(KEY_PREFIX + QUEUE))

    @property
    def unacked(self) -> int:
        """How many messages the worker holds without having acknowledged them."""
        return int(self.redis.hlen(f"{KEY_PREFIX}unacked"))

    def until(self, it_is_so: Callable[[], object], *, seconds: float = 30) -> None:
        """Wait for something that the worker is about to do."""
        end = time.monotonic() + seconds
        while not it_is_so():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def stop(self, how: signal.Signals, *, seconds: float = 20) -> tuple[int, float]:
        """Send a signal; return the exit code, and how long it took."""
        begin = time.monotonic()
        self.process.send_signal(how)
        try:
            return self.process.wait(seconds), time.monotonic() - begin
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR2)
            time.sleep(0.5)
            raise AssertionError(f"it did not end; where its threads are:\n{self.log.read_text()}") from None

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()


Started = Callable[..., ProbeWorker]

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
