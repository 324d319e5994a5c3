"""The kind of task that Celery runs here: a coroutine that is handed a Context."""

from typing import Any
from uuid import UUID

import structlog
from celery import Task

from models.kinds import QUEUES, Queue
from worker.budget import in_bulk
from worker.pool import run_on_loop
from worker.runtime import current

log = structlog.get_logger()


class ContextTask(Task[Any, Any]):
    """Runs `async def task(ctx, ids)` on the process' loop. Whoever sends it sends `ids` only.

    `typing = False`: Celery would count the context as a missing argument.
    """

    typing = False
    Strategy = "worker.strategy:guarded"

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Bind the ids to the log, and run. Celery's own request is bound to this thread, so it is read here."""
        bound = {"task": self.name, "task_id": self.request.id}
        run_on_loop(self._run(bound, args, kwargs))

    async def _run(self, bound: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        in_bulk.set(QUEUES.get(self.name) is Queue.BULK)
        runtime = await current()
        with structlog.contextvars.bound_contextvars(**bound):
            if self.name in QUEUES:
                args, kwargs = (_ids(args[0] if args else None),), {}
                structlog.contextvars.bind_contextvars(rows=len(args[0]))
            await self.run(runtime.context, *args, **kwargs)


def _ids(told: object) -> list[UUID]:
    """Read the row ids of a message; whatever else it holds can do nothing, not even fail."""
    ids = []
    for text in told if isinstance(told, list) else []:
        try:
            ids.append(UUID(str(text)))
        except ValueError:
            log.warning("message.not_an_id")
    return ids
