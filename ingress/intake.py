"""The intake: many requests, one commit; each is answered only after its row is safe."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from ingress.spooling import Spooling
from models.arrivals import MOST_AT_ONCE, MOST_BYTES_AT_ONCE, Arrival, store_arrivals
from models.cancellation import is_cancelled
from models.database import Database
from models.sqlite import is_busy

log = structlog.get_logger()

WAITING_AT_MOST = 10_000
WAITING_BYTES_AT_MOST = 64 * 1024 * 1024
PAUSE = 0.03

_Waiting = tuple[Arrival, "asyncio.Future[bool]"]


class NotStored(Exception):
    """The event could not be stored now; whoever sent it must send it again."""


class Intake:
    """Gathers the events of all requests at hand into one INSERT and one commit.

    A commit with `synchronous=FULL` costs the same for one row as for five hundred, so the busier it is the cheaper
    each becomes. Who comes while the database is waited for comes along. Rings for new rows after the commit. Nobody
    here waits for Redis, and with a `spooling` no webhook for another writer.
    """

    def __init__(
        self,
        database: Database,
        *,
        ring: Callable[[str, Sequence[UUID]], None],
        patience: float = 2.0,
        spooling: Spooling | None = None,
    ) -> None:
        """`patience` is how many seconds a request waits for its commit before it is told to come again."""
        self._database, self._ring, self._patience = database, ring, patience
        self._spooling = spooling or Spooling(None)
        self.came = 0
        """How many events have come so far."""
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._put_back_once: set[UUID] = set()
        self._due: dict[str, list[UUID]] = defaultdict(list)
        self._pause: asyncio.TimerHandle | None = None

    async def store(self, event: Arrival, *, soon: bool = False) -> bool:
        """Store an event; say whether it was new. Returns after the commit. Raises NotStored.

        `soon`: being kept in the spool is enough, where there is one; what is kept there counts as new.
        """
        self.came += 1
        if len(self._waiting) >= WAITING_AT_MOST or self._waiting_bytes >= WAITING_BYTES_AT_MOST:
            raise NotStored("too many requests are waiting")
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((event, stored))
        self._waiting_bytes += len(event.raw)
        self._more.set()
        timer = loop.call_later(self._patience, self._too_late, stored)
        if soon:
            self._spooling.watch(event, stored)
        try:
            return await stored
        finally:
            timer.cancel()
            self._spooling.leave(event)
            self._put_back_once.discard(event.id)

    def _too_late(self, stored: "asyncio.Future[bool]") -> None:
        if not stored.done():
            stored.set_exception(NotStored(f"the database did not commit within {self._patience:g} s"))

    async def run(self) -> None:
        """Store what comes, until cancelled."""
        while True:
            await self._more.wait()
            await self._store([])
            if is_cancelled():
                raise asyncio.CancelledError

    def _fill(self, batch: list[_Waiting]) -> None:
        size = 0
        while self._waiting and len(batch) < MOST_AT_ONCE and size < MOST_BYTES_AT_ONCE:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0].raw)
        self._waiting_bytes -= size
        if not self._waiting:
            self._more.clear()

    async def _store(self, batch: list[_Waiting]) -> None:
        """Store these; if they are none, those who wait once all is ready for them, or known not to be."""

        def take() -> list[Arrival]:
            self._spooling.turn_has_come()
            if not batch:
                self._fill(batch)
            return [event for event, _ in batch]

        self._spooling.turn_is_waited_for()
        try:
            new = await store_arrivals(self._database, take)
        except (DataError, IntegrityError) as error:
            if len(batch) > 1:  # one that can't be stored keeps no other out
                for waiting in batch:
                    await self._store([waiting])
                return
            self._refuse(batch, error)
        except Exception as error:
            take()
            was_busy = isinstance(error, OperationalError) and error.orig and is_busy(error.orig)
            self._refuse(self._put_back(batch) if was_busy else batch, error)
        else:
            self._spooling.are_stored(event for event, _ in batch)
            for event, stored in batch:
                if not stored.done():
                    stored.set_result(event.id in new)
                if event.settled_at is None and event.id in new:
                    self._due[event.kind].append(event.id)
            if self._due and self._pause is None:
                self._ring_for_all()

    def _ring_for_all(self) -> None:
        """Ring, and pause: of what is stored in a flood, one message then tells of many rows."""
        due, self._due = self._due, defaultdict(list)
        for kind, ids in due.items():
            self._ring(kind, ids)
        self._pause = asyncio.get_running_loop().call_later(PAUSE, self._pause_ends)

    def _pause_ends(self) -> None:
        self._pause = None
        if self._due:
            self._ring_for_all()

    def _put_back(self, batch: Sequence[_Waiting]) -> list[_Waiting]:
        """Let those who wait go on waiting, once; return the others. Somebody else held SQLite's lock for too long.

        Who was answered is in the spool, and brought in from there. Who was not is a moment away from being kept.
        """
        again, others = list[_Waiting](), list[_Waiting]()
        for event, stored in batch:
            waits = not stored.done() and event.id not in self._put_back_once
            (again if waits else others).append((event, stored))
        self._put_back_once.update(event.id for event, _ in again)
        self._waiting.extendleft(reversed(again))
        self._waiting_bytes += sum(len(event.raw) for event, _ in again)
        if again:
            self._more.set()
        return others

    def _refuse(self, batch: Sequence[_Waiting], error: Exception) -> None:
        """Give up those who wait; whoever was answered is in the spool, and was not refused."""
        self._spooling.are_not_stored(event for event, _ in batch)
        refused = [stored for _, stored in batch if not _was_answered(stored)]
        if refused:
            log.error("intake.not_stored", events=len(refused), error=type(error).__name__)
        for stored in refused:
            if not stored.done():
                stored.set_exception(NotStored(type(error).__name__))


def _was_answered(stored: "asyncio.Future[bool]") -> bool:
    return stored.done() and not stored.cancelled() and stored.exception() is None
