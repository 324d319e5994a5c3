"""The intake: many requests, one commit; each is answered only after its row is safe."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.exc import DataError, IntegrityError

from models import EventData
from models.cancellation import is_cancelled
from models.database import Database
from models.inbox import receive

log = structlog.get_logger()

MOST_AT_ONCE = 500
WAITING_AT_MOST = 10_000


class NotStored(Exception):
    """The event could not be stored now; whoever sent it must send it again."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    event: EventData
    stored: "asyncio.Future[bool]"


class Intake:
    """Gathers the events of all requests at hand into one INSERT and one commit.

    A commit with `synchronous=FULL` costs the same for one row as for five hundred, so the busier it is the cheaper
    each becomes. Rings for new rows after the commit; nobody here waits for Redis.
    """

    def __init__(
        self, database: Database, *, ring: Callable[[str, Sequence[UUID]], None], patience: float = 2.0
    ) -> None:
        """`patience` is how many seconds a request waits for its commit before it is told to come again."""
        self._database, self._ring, self._patience = database, ring, patience
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_AT_MOST)

    async def store(self, event: EventData) -> bool:
        """Store an event; say whether it was new. Returns after the commit. Raises NotStored."""
        waiting = _Waiting(event, asyncio.get_running_loop().create_future())
        try:
            self._waiting.put_nowait(waiting)
            async with asyncio.timeout(self._patience):
                return await waiting.stored
        except asyncio.QueueFull:
            raise NotStored("too many requests are waiting") from None
        except TimeoutError:
            raise NotStored(f"the database did not commit within {self._patience:g} s") from None

    async def run(self) -> None:
        """Store what comes, until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MOST_AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._store(batch)
            if is_cancelled():
                raise asyncio.CancelledError

    async def _store(self, batch: list[_Waiting]) -> None:
        try:
            async with self._database.writing() as session:
                new = await receive(session, [waiting.event for waiting in batch])
        except (DataError, IntegrityError) as error:
            if len(batch) > 1:  # one that can't be stored keeps no other out
                for waiting in batch:
                    await self._store([waiting])
                return
            self._refuse(batch, error)
        except Exception as error:
            self._refuse(batch, error)
        else:
            for waiting in batch:
                if not waiting.stored.done():
                    waiting.stored.set_result(waiting.event.id in new)
            for kind in {waiting.event.kind for waiting in batch}:
                due = [
                    waiting.event.id
                    for waiting in batch
                    if waiting.event.kind == kind and waiting.event.id in new and waiting.event.settled_at is None
                ]
                self._ring(kind, due)

    def _refuse(self, batch: list[_Waiting], error: Exception) -> None:
        log.error("intake.not_stored", events=len(batch), error=type(error).__name__)
        for waiting in batch:
            if not waiting.stored.done():
                waiting.stored.set_exception(NotStored(type(error).__name__))
