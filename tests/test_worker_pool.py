"""The pool in a real worker: how many run at once, what ends them, and that no shutdown loses a message."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from models.columns import new_id
from tests.celery_probe import HOLD, QUEUE, ProbeWorker, Started, probe_app
from worker.pool import TaskPool

MANY = 220


@pytest.fixture(scope="module")
def app(valkey: str) -> Iterator["Celery[Any]"]:
    """The app that sends."""
    app = probe_app(valkey)
    yield app
    app.close()


@pytest.fixture(scope="module")
def shared_url(valkey: str) -> str:
    """The broker of the shared worker: another database, so that it takes no message of the others."""
    url = valkey.removesuffix("/0") + "/1"
    Redis.from_url(url).flushdb()
    return url


@pytest.fixture(scope="module")
def shared_app(shared_url: str) -> Iterator["Celery[Any]"]:
    """The app that sends to the shared worker."""
    app = probe_app(shared_url)
    yield app
    app.close()


@pytest.fixture(scope="module")
def shared(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbeWorker]:
    """One worker for the tests that do not end it."""
    worker = ProbeWorker(shared_url, tmp_path_factory.mktemp("worker"), concurrency=MANY)
    yield worker
    worker.kill()


@pytest.fixture
def start(valkey: str, tmp_path: Path) -> Iterator[Started]:
    """Start workers on an empty Valkey."""
    started: list[ProbeWorker] = []

    def start(**options: Any) -> ProbeWorker:
        started.append(ProbeWorker(valkey, tmp_path, **options))
        return started[-1]

    Redis.from_url(valkey).flushdb()
    yield start
    for worker in started:
        worker.kill()


def send(app: "Celery[Any]", many: int, *, seconds: float, **how: Any) -> str:
    """Send tasks that hold for so long; return the name under which they tell of themselves."""
    story = f"story:{new_id()}"
    for _ in range(many):
        app.send_task(HOLD, args=[story, seconds], queue=QUEUE, **how)
    return story


def test_hundreds_of_coroutines_are_in_flight_in_one_process_on_one_loop(
    shared_app: "Celery[Any]", shared: ProbeWorker
) -> None:
    story = send(shared_app, MANY, seconds=60)
    shared.until(lambda: shared.told(story, "began") == MANY)
    assert shared.told(story, "ended") == 0
    [where] = shared.redis.smembers(f"{story}:where")
    assert json.loads(where)[0] == shared.process.pid
    assert shared.unacked == MANY, "a message is acknowledged after its task, not before"

    shared.redis.set(f"{story}:go", 1)
    shared.until(lambda: shared.told(story, "done") == MANY and shared.unacked == 0)
    assert shared.waiting == 0


def test_a_soft_time_limit_ends_a_coroutine_and_its_finally_block_runs(
    shared_app: "Celery[Any]", shared: ProbeWorker
) -> None:
    slow = send(shared_app, 1, seconds=60, soft_time_limit=0.5)
    quick = send(shared_app, 1, seconds=0.1, soft_time_limit=20)
    shared.until(lambda: shared.told(slow, "ended") == 1 and shared.told(quick, "ended") == 1)
    assert (shared.told(slow, "done"), shared.told(quick, "done")) == (0, 1)
    shared.until(lambda: shared.unacked == 0)
    assert "SoftTimeLimitExceeded" in shared.log.read_text()


def test_a_hard_time_limit_ends_it_as_well(shared_app: "Celery[Any]", shared: ProbeWorker) -> None:
    story = send(shared_app, 1, seconds=60, time_limit=0.5)
    shared.until(lambda: shared.told(story, "ended") == 1)
    assert shared.told(story, "done") == 0


def test_a_revoke_cancels_the_coroutine_and_its_finally_block_runs(
    shared_app: "Celery[Any]", shared: ProbeWorker
) -> None:
    task_id = str(new_id())
    revoked = send(shared_app, 1, seconds=60, task_id=task_id)
    other = send(shared_app, 1, seconds=60)
    shared.until(lambda: shared.told(revoked, "began") == 1 and shared.told(other, "began") == 1)

    shared_app.control.revoke(task_id, terminate=True)

    shared.until(lambda: shared.told(revoked, "ended") == 1)
    assert shared.told(revoked, "done") == 0
    assert shared.told(other, "ended") == 0, "it was not meant"
    shared.redis.set(f"{other}:go", 1)
    shared.until(lambda: shared.told(other, "done") == 1 and shared.unacked == 0)
    assert shared.waiting == 0, "what was revoked does not come back"


@pytest.mark.long
def test_a_warm_shutdown_lets_running_tasks_finish_and_acknowledges_them(app: "Celery[Any]", start: Started) -> None:
    worker = start(concurrency=8)
    story = send(app, 8, seconds=1.5)
    worker.until(lambda: worker.told(story, "began") == 8)
    code, _ = worker.stop(signal.SIGTERM)
    assert code == 0
    assert (worker.told(story, "done"), worker.told(story, "ended")) == (8, 8)
    assert (worker.waiting, worker.unacked) == (0, 0)


@pytest.mark.long
def test_what_was_prefetched_comes_back_at_a_warm_shutdown(app: "Celery[Any]", start: Started) -> None:
    worker = start(concurrency=2, worker_prefetch_multiplier=4)
    story = send(app, 12, seconds=2)
    worker.until(lambda: worker.told(story, "began") == 2 and worker.unacked == 8)
    code, _ = worker.stop(signal.SIGTERM)
    assert code == 0
    done = worker.told(story, "done")
    assert done == worker.told(story, "began") == worker.told(story, "ended")
    assert worker.waiting + worker.unacked == 12 - done
    assert done <= 4, "no new task is begun once the worker was told to stop"


@pytest.mark.long
@pytest.mark.parametrize("_once_more", range(2))
def test_a_cold_shutdown_is_quick_and_loses_no_message(app: "Celery[Any]", start: Started, _once_more: int) -> None:
    """A job that ends before Celery has marked its request would look revoked, and be acknowledged."""
    worker = start(concurrency=40)
    story = send(app, 40, seconds=60)
    worker.until(lambda: worker.told(story, "began") == 40)
    code, seconds = worker.stop(signal.SIGQUIT)
    assert code == 0
    assert seconds < 8, "it did not wait for what it cancelled"
    assert worker.waiting + worker.unacked == 40, worker.log.read_text()
    assert worker.told(story, "done") == 0
    assert worker.told(story, "ended") == 40, f"not each finally block ran to its end:\n{worker.log.read_text()}"


@pytest.mark.long
def test_what_a_cold_shutdown_gave_back_is_done_by_the_next_worker(app: "Celery[Any]", start: Started) -> None:
    worker = start(concurrency=2, worker_prefetch_multiplier=4)
    story = send(app, 12, seconds=60)
    worker.until(lambda: worker.told(story, "began") == 2 and worker.unacked == 8)
    assert worker.stop(signal.SIGQUIT)[0] == 0
    assert worker.waiting == 12, "what ran, what was prefetched and what still waited"

    worker.redis.set(f"{story}:go", 1)
    worker = start(concurrency=12)
    worker.until(lambda: worker.told(story, "done") == 12 and worker.unacked == 0)
    assert worker.waiting == 0


@pytest.mark.long
def test_a_soft_shutdown_gives_short_tasks_their_time_and_the_long_ones_back(
    app: "Celery[Any]", start: Started
) -> None:
    worker = start(concurrency=8, worker_soft_shutdown_timeout=2.5)
    short, long = send(app, 4, seconds=0.5), send(app, 4, seconds=60)
    worker.until(lambda: worker.told(short, "began") == 4 and worker.told(long, "began") == 4)
    code, seconds = worker.stop(signal.SIGQUIT)
    assert code == 0
    assert seconds < 12
    assert (worker.told(short, "done"), worker.told(long, "done")) == (4, 0)
    assert worker.told(long, "ended") == 4
    assert worker.waiting + worker.unacked == 4


def test_a_killed_worker_leaves_its_messages_unacknowledged(app: "Celery[Any]", start: Started) -> None:
    worker = start(concurrency=4)
    story = send(app, 4, seconds=60)
    worker.until(lambda: worker.told(story, "began") == 4)
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    assert (worker.waiting, worker.unacked) == (0, 4)


def test_a_signal_to_stop_in_the_middle_of_a_submit_does_not_wait_for_itself() -> None:
    """Celery stops the pool from the signal's handler, in the thread that submits and holds the executor's lock."""
    pool = TaskPool(limit=1)
    stopped: list[bool] = []

    class Interrupted(ThreadPoolExecutor):
        def _adjust_thread_count(self) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            for _ in range(1000):
                pass  # the handler runs between two steps of this thread
            super()._adjust_thread_count()  # type: ignore[misc]

    pool.executor.shutdown()
    pool.executor = Interrupted(max_workers=1)
    before = signal.signal(signal.SIGUSR1, lambda *_: stopped.append(pool.stop() is None))
    try:
        job = pool.apply_async(lambda: None)
        job.future.result(5)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert stopped
    pool.on_stop()


def test_a_valkey_that_is_full_for_a_while_ends_no_worker(app: "Celery[Any]", start: Started) -> None:
    """It has taken a message from the queue by then, and can't note that it holds it."""
    worker = start(concurrency=2)
    worker.process.send_signal(signal.SIGSTOP)
    send(app, 3, seconds=0)
    worker.redis.config_set("maxmemory", 1)
    try:
        worker.process.send_signal(signal.SIGCONT)
        worker.until(lambda: "used memory" in worker.log.read_text())
    finally:
        worker.redis.config_set("maxmemory", 0)
    story = send(app, 4, seconds=0)
    worker.until(lambda: worker.told(story, "done") == 4)
