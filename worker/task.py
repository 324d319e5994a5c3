"""The kind of task that Celery runs here: a coroutine that is handed a Context."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import UUID

import structlog
from celery import Task
from celery.exceptions import Ignore, Reject
from sqlalchemy.exc import SQLAlchemyError

from models.database import is_away
from models.kinds import QUEUES, REAUTH_BULK_REQUESTED, Queue
from tasks.campaigns.from_tasks import asked_by_task
from tasks.notices.at_once import noting_deliveries
from tasks.schedule import SCHEDULE_FIRED
from worker.budget import in_bulk
from worker.pool import run_on_loop
from worker.runtime import Runtime, current
from worker.sweeper import ring_for_telling

log = structlog.get_logger()

GIVEN_BACK_AFTER = 2.0


class ContextTask(Task[Any, Any]):
    """Runs `async def task(ctx, ids)` on the process' loop. Whoever sends it sends `ids` only.

    But for two kinds: who asks for a campaign by a message (`tasks.campaigns.from_tasks`), and a schedule that has
    fired, have no row yet. Until it is written the message is all there is, so while the database is away it is given
    back. All others' rows stay due, or somebody looks again soon.

    `typing = False`: Celery would count the context as a missing argument.
    """

    typing = False
    Strategy = "worker.strategy:guarded"

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Bind the ids to the log, and run. Celery's own request is bound to this thread, so it is read here."""
        bound = {"task": self.name, "task_id": self.request.id}
        payload = _request(self.name, args, kwargs)
        if payload is None:
            run_on_loop(self._run(bound, args, kwargs))
        else:
            run_on_loop(self._ask(bound, payload, self.request.origin))

    async def _run(self, bound: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        in_bulk.set(QUEUES.get(self.name) is Queue.BULK)
        runtime = await current()
        with structlog.contextvars.bound_contextvars(**bound):
            if self.name in QUEUES:
                args, kwargs = (_ids(args[0] if args else None),), {}
                structlog.contextvars.bind_contextvars(rows=len(args[0]))
            deliveries = noting_deliveries()
            if away := await _away(self.run(runtime.context, *args, **kwargs)):
                log.warning("task.broken_off", error=away)
                if self.name != SCHEDULE_FIRED:
                    raise Ignore
                await asyncio.sleep(GIVEN_BACK_AFTER)
                raise Reject(away, requeue=True)
            if QUEUES.get(self.name, Queue.NOTICES) is not Queue.NOTICES:
                await self._tell(runtime, deliveries)

    async def _tell(self, runtime: Runtime, deliveries: Sequence[UUID]) -> None:
        """Tell what the work has led to; if that can't be begun, the next sweep does."""
        try:
            if QUEUES[self.name] is Queue.INTERACTIVE:
                await runtime.onward.tell(runtime.context, deliveries)
            else:
                await ring_for_telling(runtime.context, deliveries)
        except (SQLAlchemyError, OSError) as error:
            log.warning("notices.rung_later", error=type(error).__name__)

    async def _ask(self, bound: dict[str, Any], payload: object, sender: str | None) -> None:
        """Write what a message asks for, and begin with it."""
        try:
            context = (await current()).context
            with structlog.contextvars.bound_contextvars(**bound):
                ids = await asked_by_task(context, payload, task_id=bound["task_id"], sender=sender)
        except (SQLAlchemyError, OSError) as error:
            log.warning("message.given_back", error=type(error).__name__, **bound)
            await asyncio.sleep(GIVEN_BACK_AFTER)
            raise Reject(type(error).__name__, requeue=True) from None
        await self._run(bound, (ids,), {})


async def _away(work: Coroutine[Any, Any, None]) -> str | None:
    """Do it; return the name of what was raised if the database was away.

    Celery would log 250 lines of stacks for each task, and keep them, 2 MB, until garbage is looked for.
    """
    try:
        await work
    except Exception as error:
        if not is_away(error):
            raise
        return type(error).__name__
    return None


def _request(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """What a message asks for that is no list of rows; None if it is one, or holds nothing."""
    told: object = args[0] if args else (kwargs or None)
    return None if name != REAUTH_BULK_REQUESTED or isinstance(told, list) else told


def _ids(told: object) -> list[UUID]:
    """Read the row ids of a message; whatever else it holds can do nothing, not even fail."""
    ids = []
    for text in told if isinstance(told, list) else []:
        try:
            ids.append(UUID(str(text)))
        except ValueError:
            log.warning("message.not_an_id")
    return ids
