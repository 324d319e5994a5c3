"""The Celery app: JSON only, ids only, each queue by itself, every key under our prefix, nothing kept."""

import base64
import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.utils.time import maybe_timedelta

from models.columns import new_id
from models.kinds import GRANT_EXPIRED, QUEUES, REAUTH_REQUESTED, SYNC_REQUESTED, Queue
from tasks.housekeeping import HOUSEKEEPING_DUE
from tasks.schedule import SCHEDULE_FIRED
from tasks.schedules import SCHEDULES_DUE
from tests.celery_probe import HOLD, QUEUE, ProbeWorker
from worker.app import KEY_PREFIX, LONGER, TIME_LIMIT, make_app
from worker.doorbell import Doorbell
from worker.task import ContextTask


@pytest.fixture
def app(valkey: str) -> Iterator["Celery[ContextTask]"]:
    """The app."""
    app = make_app(valkey)
    yield app
    app.close()


@pytest.fixture(scope="module")
def worker(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbeWorker]:
    """A worker on the same broker, which lives through all that these tests do to it."""
    worker = ProbeWorker(valkey, tmp_path_factory.mktemp("worker"), concurrency=4)
    yield worker
    worker.kill()


def rung(app: "Celery[Any]", kind: str, *ids: Any) -> None:
    """Ring for rows, and wait until that was sent."""
    doorbell = Doorbell(app).start()
    doorbell.ring(kind, ids)
    doorbell.stop(grace=10)


def waiting(redis: Any, queue: Queue) -> list[dict[str, Any]]:
    """The messages that stand in a queue, as they lie in Redis."""
    return [json.loads(message) for message in redis.lrange(KEY_PREFIX + queue.value, 0, -1)]


def told_in(message: dict[str, Any]) -> Any:
    """The body of a message."""
    return json.loads(base64.b64decode(message["body"]))


def forged(body: bytes, *, content_type: str, encoding: str = "binary", task: str = HOLD) -> str:
    """A message that somebody wrote into our Redis himself."""
    message_id = str(uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": content_type,
            "content-encoding": encoding,
            "headers": {"task": task, "id": message_id, "root_id": message_id, "lang": "py", "retries": 0},
            "properties": {
                "delivery_tag": message_id,
                "delivery_mode": 2,
                "body_encoding": "base64",
                "delivery_info": {"exchange": QUEUE, "routing_key": QUEUE},
                "priority": 0,
            },
        }
    )


def test_a_message_for_one_queue_never_shows_up_in_the_other(app: "Celery[Any]", redis: Any) -> None:
    for kind, (interactive, bulk) in ((GRANT_EXPIRED, (1, 0)), (REAUTH_REQUESTED, (1, 1)), (SYNC_REQUESTED, (1, 2))):
        rung(app, kind, new_id())
        assert redis.llen("evergrant:1:interactive") == interactive
        assert redis.llen("evergrant:1:bulk") == bulk


@pytest.mark.parametrize("kind", sorted(QUEUES))
def test_a_message_holds_its_kind_and_row_ids_and_nothing_else(app: "Celery[Any]", redis: Any, kind: str) -> None:
    ids = [new_id() for _ in range(3)]
    rung(app, kind, *ids)
    [message] = waiting(redis, QUEUES[kind])
    args, kwargs, embedded = told_in(message)
    assert args == [[str(row) for row in ids]]
    assert kwargs == {}
    assert not any(embedded.values())
    assert message["content-type"] == "application/json"
    headers = message["headers"]
    assert headers["task"] == kind
    assert (headers["eta"], headers["expires"], headers["retries"]) == (None, None, 0)


def test_every_task_is_registered_under_its_kind(app: "Celery[Any]") -> None:
    app.loader.import_default_modules()
    app.finalize()
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == {*QUEUES, SCHEDULE_FIRED, SCHEDULES_DUE, HOUSEKEEPING_DUE}
    assert all(isinstance(app.tasks[name], ContextTask) for name in ours)


def test_no_task_sets_for_itself_what_the_app_sets_for_all(app: "Celery[Any]") -> None:
    app.loader.import_default_modules()
    app.finalize()
    for name in QUEUES:
        task = app.tasks[name]
        assert (task.acks_late, task.ignore_result, task.reject_on_worker_lost) == (True, True, False)
        assert (task.soft_time_limit, task.serializer) == (LONGER.get(name, TIME_LIMIT), "json")


def test_a_task_ends_before_its_message_is_given_to_another(app: "Celery[Any]") -> None:
    assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_soft_time_limit


def test_the_schedule_sends_to_a_queue_that_is_there(app: "Celery[Any]") -> None:
    entries = app.conf.beat_schedule
    assert set(entries) == {SYNC_REQUESTED, SCHEDULES_DUE, HOUSEKEEPING_DUE}
    for entry in entries.values():
        assert entry["options"]["queue"] in set(Queue)
    hourly, look = entries[SYNC_REQUESTED], entries[SCHEDULES_DUE]
    assert (hourly["task"], hourly["args"][0], look["task"]) == (SCHEDULE_FIRED, SYNC_REQUESTED, SCHEDULES_DUE)
    assert maybe_timedelta(hourly["schedule"].remaining_estimate(app.now())).total_seconds() <= 3600
    assert look["schedule"].total_seconds() <= 10
    assert (look["options"]["expires"], "expires" in hourly["options"]) == (60, False)  # who fired is never thrown away
    assert entries[HOUSEKEEPING_DUE]["task"] == HOUSEKEEPING_DUE


def test_a_pickled_message_is_refused_and_never_opened(worker: ProbeWorker, redis: Any, tmp_path: Path) -> None:
    trap = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (trap,)

    pickle.loads(pickle.dumps(Trap()))  # noqa: S301 - to see that the trap works
    assert trap.exists()
    trap.unlink()

    body = pickle.dumps(([Trap()], {}, {}))
    redis.lpush(KEY_PREFIX + QUEUE, forged(body, content_type="application/x-python-serialize"))
    honest = json.dumps([["after", 0], {}, {}]).encode()
    redis.lpush(KEY_PREFIX + QUEUE, forged(honest, content_type="application/json", encoding="utf-8"))

    worker.until(lambda: worker.told("after", "done") == worker.told("after", "ended") == 1 and worker.unacked == 0)
    assert not trap.exists()
    assert "ContentDisallowed" in worker.log.read_text()
    assert worker.waiting == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"null",
        b"[]",
        b"[[], {}]",
        b'["a", "b", "c"]',
        b"\xff\xfe",
        b'[[1, 2, 3], {"x": 1}, {}]',
    ],
    ids=["empty", "cut off", "deep", "null", "no parts", "two parts", "no lists", "no text", "other arguments"],
)
def test_a_malformed_message_does_not_stop_the_worker(worker: ProbeWorker, redis: Any, body: bytes) -> None:
    redis.lpush(KEY_PREFIX + QUEUE, forged(body, content_type="application/json", encoding="utf-8"))
    honest = json.dumps([["after", 0], {}, {}]).encode()
    redis.lpush(KEY_PREFIX + QUEUE, forged(honest, content_type="application/json", encoding="utf-8"))
    worker.until(lambda: worker.told("after", "done") == worker.told("after", "ended") == 1)


def test_nothing_is_kept_after_a_task_and_every_key_of_the_broker_has_our_prefix(
    worker: ProbeWorker, redis: Any, app: "Celery[Any]"
) -> None:
    app.send_task(HOLD, args=["story", 60], queue=QUEUE)
    rung(app, REAUTH_REQUESTED)
    worker.until(lambda: worker.told("story", "began") == 1)
    while_it_runs = set(redis.keys())
    redis.set("story:go", 1)
    worker.until(lambda: worker.told("story", "done") == 1 and worker.unacked == 0)
    time.sleep(0.2)
    keys = while_it_runs | set(redis.keys())
    foreign = {key for key in keys if not key.startswith((KEY_PREFIX, "story:", "ready:"))}
    assert foreign == set()
    assert not [key for key in keys if "celery-task-meta" in key]
    assert f"{KEY_PREFIX}unacked" in while_it_runs
    assert f"{KEY_PREFIX}unacked" not in set(redis.keys())
