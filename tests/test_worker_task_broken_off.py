"""How a task ends that can't be done: where the database is away, and where the mistake is ours."""

from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import structlog
from celery import Celery
from celery.exceptions import Ignore, Reject

from ingress.children import free_port
from models.columns import new_id
from models.database import Database
from models.kinds import GRANT_UPDATED
from tasks.context import Context
from tasks.schedule import SCHEDULE_FIRED
from tests.test_worker_task import app, opened, rung, settings
from worker import task
from worker.runtime import Runtime
from worker.task import ContextTask

__all__ = ["app", "opened", "rung", "settings"]


def failing(
    app: "Celery[ContextTask]", work: Callable[[], Coroutine[Any, Any, None]], *, kind: str = GRANT_UPDATED
) -> tuple[BaseException | None, list[str]]:
    """Let a task do that; say how it ended for Celery, and what we logged of it."""

    @app.task(name=kind, shared=False)
    async def fails(_ctx: Context, _ids: Sequence[UUID]) -> None:
        await work()

    assert fails.name == kind
    with ThreadPoolExecutor(1) as thread, structlog.testing.capture_logs() as logged:
        error = thread.submit(fails, [str(new_id())]).exception(10)
    return error, [line["event"] for line in logged]


async def asks_where_nobody_listens() -> None:
    """Ask a database that is away."""
    database = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    try:
        await database.is_there()
    finally:
        await database.close()


def test_a_task_that_finds_the_database_away_ends_with_one_line(
    app: "Celery[ContextTask]", opened: list[Runtime]
) -> None:
    error, logged = failing(app, asks_where_nobody_listens)
    assert isinstance(error, Ignore)
    assert error.__context__ is None
    assert logged == ["task.broken_off"]


def test_a_schedule_that_has_fired_while_the_database_is_away_is_given_back(
    app: "Celery[ContextTask]", opened: list[Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message is all there is of it."""
    monkeypatch.setattr(task, "GIVEN_BACK_AFTER", 0)
    error, logged = failing(app, asks_where_nobody_listens, kind=SCHEDULE_FIRED)
    assert isinstance(error, Reject)
    assert error.requeue
    assert logged == ["task.broken_off"]


def test_a_mistake_of_ours_is_left_to_celery_with_all_that_led_to_it(
    app: "Celery[ContextTask]", opened: list[Runtime]
) -> None:
    async def stumbles() -> None:
        raise KeyError("nothing of that name")

    error, logged = failing(app, stumbles)
    assert isinstance(error, KeyError)
    assert not logged
