"""What stands between a message and a task: the context, the ids, the queue's rank, and a runtime opened once."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from celery import Celery
from pydantic import SecretStr
from sqlalchemy import select

from ingress.children import free_port
from models import Application, Notice, NoticeKind
from models.columns import new_id
from models.database import Database
from models.kinds import GRANT_UPDATED, NOTICE_DUE, QUEUES, REAUTH_REQUESTED, SYNC_REQUESTED, Queue
from models.migrations.run import upgrade
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tasks.grant_hints import confirm_expiry
from tasks.oauth_callback import exchange_codes
from tasks.schedule import SCHEDULE_FIRED
from tasks.sync import sync_grants
from worker import runtime
from worker.budget import in_bulk
from worker.pool import LOOP
from worker.runtime import Runtime, current, open_runtime, opens_with
from worker.settings import Settings
from worker.task import ContextTask


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty database of their own."""
    given = {
        "nylas_api_key": SecretStr("nyk_test"),
        "nylas_client_id": "client",
        "public_url": "https://evergrant.example.com",
        "data_dir": tmp_path,
    }
    return Settings.model_validate(given)


@pytest.fixture
def rung() -> list[tuple[str, Sequence[UUID]]]:
    """What was rung for, in that order."""
    return []


@pytest.fixture
def opened(settings: Settings, rung: list[tuple[str, Sequence[UUID]]]) -> Iterator[list[Runtime]]:
    """A runtime that is prepared: what was opened of it."""
    opened: list[Runtime] = []

    async def prepare() -> None:
        database = Database(settings.database)
        await upgrade(database)
        await database.close()

    async def open_it() -> Runtime:
        opened.append(made := await open_runtime(settings, ring=lambda kind, ids: rung.append((kind, ids))))
        await asyncio.sleep(0.05)
        return made

    async def end() -> None:
        for made in opened:
            await made.close()

    LOOP.run(prepare())
    opens_with(lambda: asyncio.create_task(open_it()))
    yield opened
    LOOP.run(end())
    LOOP.stop()
    runtime._opening = runtime._opened = None


@pytest.fixture
def app() -> Iterator["Celery[ContextTask]"]:
    """An app that reaches nobody: the tasks are called as a worker calls them."""
    app = Celery("tests", task_cls=ContextTask, set_as_current=False)
    app.conf.broker_url = f"redis://127.0.0.1:{free_port()}/0"
    yield app
    app.close()


class Seen:
    """A task of ours that keeps what it was handed."""

    def __init__(self, app: "Celery[ContextTask]", name: str) -> None:
        """Register it."""
        self.calls: list[tuple[Context, tuple[Any, ...], dict[str, Any]]] = []
        self.ranks: list[bool] = []
        self.logged: list[dict[str, Any]] = []

        @app.task(name=name, shared=False)
        async def keep(ctx: Context, *args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0.01)
            self.calls.append((ctx, args, kwargs))
            self.ranks.append(in_bulk.get())
            self.logged.append(structlog.contextvars.get_contextvars())

        assert keep.name == name  # made now, as a worker does when it starts; not by several threads at once
        self.task = keep

    def told(self, *args: Any) -> None:
        """Call it, from a thread as the pool's."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self.task, *args).result(10)

    @property
    def ids(self) -> list[list[UUID]]:
        """The ids that each call was handed."""
        return [args[0] for _, args, _ in self.calls]


def test_a_task_is_handed_the_context_and_its_rows_ids(app: "Celery[ContextTask]", opened: list[Runtime]) -> None:
    seen, ids = Seen(app, GRANT_UPDATED), [new_id(), new_id()]
    seen.told([str(row) for row in ids])
    [(ctx, args, kwargs)] = seen.calls
    assert ctx is opened[0].context
    assert (args, kwargs) == ((ids,), {})


def test_ids_and_name_are_bound_to_the_log_for_the_length_of_the_task(
    app: "Celery[ContextTask]", opened: list[Runtime]
) -> None:
    seen = Seen(app, GRANT_UPDATED)
    seen.told([str(new_id())])
    assert seen.logged == [{"task": GRANT_UPDATED, "task_id": None, "rows": 1}]
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize(
    "garbage",
    [
        ["not an id", "", "' OR 1=1", "../../etc/passwd", "\x00", "f" * 100_000],
        [1, None, True, 1.5, [], {}, ["a"], {"id": 1}],
        "a text",
        None,
        {},
        17,
        [],
    ],
    ids=["texts", "other values", "text", "null", "object", "number", "empty"],
)
def test_what_is_no_id_does_nothing(app: "Celery[ContextTask]", opened: list[Runtime], garbage: object) -> None:
    seen = Seen(app, GRANT_UPDATED)
    seen.told(garbage)
    assert seen.ids == [[]]


def test_an_id_among_garbage_still_counts(app: "Celery[ContextTask]", opened: list[Runtime]) -> None:
    seen, row = Seen(app, GRANT_UPDATED), new_id()
    seen.told(["x", str(row), None])
    assert seen.ids == [[row]]


def test_a_message_without_arguments_does_nothing_and_does_not_fail(
    app: "Celery[ContextTask]", opened: list[Runtime]
) -> None:
    seen = Seen(app, GRANT_UPDATED)
    seen.told()
    assert seen.ids in ([], [[]])


@pytest.mark.parametrize("kind", [GRANT_UPDATED, REAUTH_REQUESTED])
def test_what_the_work_has_to_tell_is_told_by_itself_but_in_bulk_it_is_rung_for(
    app: "Celery[ContextTask]", opened: list[Runtime], rung: list[tuple[str, Sequence[UUID]]], kind: str
) -> None:
    @app.task(name=kind, shared=False)
    async def tells(ctx: Context, _ids: Sequence[UUID]) -> None:
        now = ctx.now()
        times = {"occurred_at": now, "created_at": now, "due_at": now}
        async with ctx.database.writing() as session:
            session.add(Notice(id=told, application_id=ctx.application_id, kind=NoticeKind.TEST, **times))

    async def is_told() -> bool:
        async with (await current()).context.database.reading() as session:
            return (await session.get_one(Notice, told)).settled_at is not None

    told = new_id()
    assert tells.name == kind
    with ThreadPoolExecutor(1) as thread:
        thread.submit(tells, []).result(10)
    in_bulk = kind == REAUTH_REQUESTED
    assert rung == ([(NOTICE_DUE, [told])] if in_bulk else [])
    assert LOOP.run(is_told()) is not in_bulk


def test_ids_that_nobody_has_do_nothing_in_the_real_task(opened: list[Runtime]) -> None:
    context = LOOP.run(current()).context
    for task in (confirm_expiry, sync_grants, exchange_codes, start_campaigns, reauthenticate):
        LOOP.run(task.run(context, [new_id(), new_id()]))


def test_what_is_no_doorbell_keeps_its_arguments(app: "Celery[ContextTask]", opened: list[Runtime]) -> None:
    seen = Seen(app, SCHEDULE_FIRED)
    seen.told(SYNC_REQUESTED, "17 * * * *")
    assert [args for _, args, _ in seen.calls] == [(SYNC_REQUESTED, "17 * * * *")]


@pytest.mark.parametrize("kind", sorted(QUEUES))
def test_work_in_bulk_knows_that_it_is(app: "Celery[ContextTask]", opened: list[Runtime], kind: str) -> None:
    seen = Seen(app, kind)
    seen.told([])
    assert seen.ranks == [QUEUES[kind] is Queue.BULK]


def test_the_rank_of_one_task_is_not_that_of_the_next_in_its_thread(
    app: "Celery[ContextTask]", opened: list[Runtime]
) -> None:
    bulk, other = Seen(app, REAUTH_REQUESTED), Seen(app, SCHEDULE_FIRED)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(bulk.task, []).result(10)
        thread.submit(other.task, "a", "b").result(10)
    assert (bulk.ranks, other.ranks) == ([True], [False])


def test_many_tasks_that_come_first_at_once_open_the_runtime_once(
    app: "Celery[ContextTask]", opened: list[Runtime]
) -> None:
    seen = Seen(app, GRANT_UPDATED)
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(seen.task, [[] for _ in range(20)]))
    assert len(opened) == 1
    assert len(seen.calls) == 20
    assert {id(ctx) for ctx, _, _ in seen.calls} == {id(opened[0].context)}


def test_an_opening_that_failed_is_tried_again_by_the_next_task(
    app: "Celery[ContextTask]", opened: list[Runtime], settings: Settings
) -> None:
    fails = iter([True, True, False])

    async def open_it() -> Runtime:
        if next(fails):
            raise ConnectionRefusedError("the database is away")
        opened.append(made := await open_runtime(settings, ring=lambda kind, ids: rung.append((kind, ids))))
        return made

    opens_with(lambda: asyncio.create_task(open_it()))
    seen = Seen(app, GRANT_UPDATED)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            seen.told([])
    seen.told([])
    seen.told([])
    assert (len(opened), len(seen.calls)) == (1, 2)


def test_a_task_that_is_cancelled_while_the_runtime_opens_does_not_close_it_to_others(
    app: "Celery[ContextTask]", opened: list[Runtime]
) -> None:
    async def both() -> Runtime:
        first, second = asyncio.create_task(current()), asyncio.create_task(current())
        await asyncio.sleep(0.01)
        first.cancel()
        return await second

    assert LOOP.run(both()) is opened[0]
    assert len(opened) == 1


def test_without_a_runtime_that_was_prepared_a_task_says_so(app: "Celery[ContextTask]") -> None:
    assert runtime._opening is None
    with pytest.raises(RuntimeError, match="no runtime was prepared"):
        Seen(app, GRANT_UPDATED).told([])
    LOOP.stop()


def test_opening_makes_the_applications_row(opened: list[Runtime], settings: Settings) -> None:
    async def rows() -> list[str]:
        made = await current()
        async with made.context.database.reading() as session:
            return [row.client_id for row in await session.scalars(select(Application))]

    assert LOOP.run(rows()) == [settings.nylas_client_id]
