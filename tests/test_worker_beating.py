"""Beat: it outlives a Redis that comes back with nothing, and never fires without the lock."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redbeat.schedulers import acquire_distributed_beat_lock, get_redis
from redis import Redis

from ingress.children import free_port
from ingress.embedded import start_valkey
from models.kinds import Queue
from tasks.schedules import SCHEDULES_DUE
from worker.app import KEY_PREFIX, make_app
from worker.beating import AGAIN_AFTER, Scheduler
from worker.schedule import beat_schedule

MESSAGES = KEY_PREFIX + Queue.INTERACTIVE.value


@pytest.fixture
def beats(redis: Any, valkey: str) -> Iterator[Any]:
    """Makes beats at one Valkey, each with an app of its own, and with a schedule that is always due."""
    made: list[Scheduler] = []

    def beat(*, waits: bool = False, at: str = valkey) -> Scheduler:
        app = make_app(at)
        app.conf.beat_schedule = {SCHEDULES_DUE: {**beat_schedule()[SCHEDULES_DUE], "schedule": timedelta(0)}}
        scheduler = Scheduler(app=app)
        if not waits:
            acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=scheduler))
        made.append(scheduler)
        return scheduler

    yield beat
    for scheduler in made:
        scheduler.close()
        get_redis(scheduler.app).close()
        scheduler.app.close()


def fired(scheduler: Scheduler, redis: Any) -> bool:
    """Tick, and say whether a message was sent."""
    before = redis.llen(MESSAGES)
    scheduler.tick()
    return bool(redis.llen(MESSAGES) > before)


def test_a_beat_goes_on_after_its_redis_has_lost_everything(beats: Any, redis: Any) -> None:
    beat = beats()
    assert fired(beat, redis)
    redis.flushall()

    assert fired(beat, redis)
    assert beat.lock.owned()


def test_whoever_has_waited_for_the_lock_writes_the_schedule_that_was_lost(beats: Any, redis: Any) -> None:
    first, second = beats(), beats(waits=True)
    redis.flushall()

    assert fired(second, redis)
    assert (first.lock.owned(), second.lock.owned()) == (False, True)


def test_who_lost_the_lock_to_another_fires_nothing_until_that_one_lets_go(
    beats: Any, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = beats(), beats(waits=True)
    redis.flushall()
    assert fired(second, redis)
    seen: list[int] = []

    def wait(_seconds: float) -> None:
        """Look what has been sent, and let the other one go."""
        seen.append(redis.llen(MESSAGES))
        second.close()

    monkeypatch.setattr("redis.lock.mod_time.sleep", wait)
    assert fired(first, redis)
    assert seen == [1], "while it waited there was only what the other one had sent"
    assert first.lock.owned()


def test_a_redis_that_is_away_is_asked_again_soon(beats: Any, tmp_path: Path) -> None:
    port = free_port()
    child, url = start_valkey(tmp_path / "valkey", keep=False, port=port)
    try:
        beat = beats(at=url)
        child.stop()
        assert beat.tick() == AGAIN_AFTER
        child, _ = start_valkey(tmp_path / "valkey", keep=False, port=port)
        with Redis.from_url(url) as redis:
            assert fired(beat, redis)
    finally:
        beat.close()
        child.stop()


def test_a_beat_that_starts_while_its_redis_is_full_fires_once_there_is_room(beats: Any, tmp_path: Path) -> None:
    child, url = start_valkey(tmp_path / "valkey", keep=False)
    try:
        with Redis.from_url(url) as redis:
            redis.config_set("maxmemory", 1)
            beat = beats(at=url, waits=True)
            assert beat.tick() == AGAIN_AFTER
            redis.config_set("maxmemory", 0)
            assert fired(beat, redis)
    finally:
        beat.close()
        child.stop()
