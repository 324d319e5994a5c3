"""Webhooks for which a turn to write to SQLite does not come soon are kept in the spool, and answered."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from uuid import UUID

import structlog

from models.arrivals import Arrival
from models.spool import Spool

log = structlog.get_logger()

SOON = 0.01
"""Seconds for which a turn is waited for before those who wait are kept in the spool."""
EVERY = 1.0
"""Seconds between two looks for what is left in the spool."""
FAREWELL = 1.0
"""Seconds for which a web that stops waits for what it has in the spool to come into the database."""


class Spooling:
    """Keeps in the spool what would wait, while it waits on for the database, and forgets it once it is there.

    Web takes the place of one who waits by itself: an arrival that is in the spool stays in its line, and comes into
    the database by the next transaction, a few milliseconds later. What is left by a web that died, or by a
    transaction that failed, is found in the file and brought in again; the database knows what it has by its `key`.
    """

    def __init__(self, spool: Spool | None) -> None:
        """Nothing is opened yet. Without a spool nothing is kept, and all wait for the database."""
        self._spool = spool
        self._hurried: dict[UUID, tuple[Arrival, asyncio.Future[bool]]] = {}
        self._ours: set[UUID] = set()
        """What is in the spool, or on its way there, and in our own line as well."""
        self._stored: set[UUID] = set()
        """What is in the database, and still in the spool."""
        self._none_of_ours = asyncio.Event()
        self._waits = False
        self._timer: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None

    def watch(self, event: Arrival, stored: "asyncio.Future[bool]") -> None:
        """Keep this one, should it wait for long, and answer it; it counts as new then."""
        if self._spool:
            self._hurried[event.id] = event, stored
            self._count()

    def leave(self, event: Arrival) -> None:
        """Watch over this one no longer: it was answered."""
        self._hurried.pop(event.id, None)

    def turn_is_waited_for(self) -> None:
        """From now on those who wait do so for a turn."""
        self._waits = True
        self._count()

    def turn_has_come(self) -> None:
        """Let those who still wait go with this transaction."""
        self._waits = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self) -> None:
        if self._waits and self._hurried and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON, self._too_long)

    def are_stored(self, events: Iterable[Arrival]) -> None:
        """Note that these are in the database."""
        stored = self._ours.intersection(event.id for event in events)
        self._stored |= stored
        self._no_longer_ours(stored)

    def are_not_stored(self, events: Iterable[Arrival]) -> None:
        """Note that these are in the line no longer; those in the spool are brought in from there."""
        self._no_longer_ours(event.id for event in events)

    def _no_longer_ours(self, ids: Iterable[UUID]) -> None:
        self._ours.difference_update(ids)
        if not self._ours:
            self._none_of_ours.set()

    def _too_long(self) -> None:
        self._timer = None
        if self._keeping and not self._keeping.done():
            self._count()
        elif self._spool:
            self._keeping = asyncio.create_task(self._keep(self._spool))

    async def _keep(self, spool: Spool) -> None:
        kept, self._hurried = list(self._hurried.values()), {}
        ids = {event.id for event, _ in kept}
        self._ours |= ids
        self._none_of_ours.clear()
        try:
            await spool.keep([event for event, _ in kept])
        except (sqlite3.Error, OSError) as error:
            self._no_longer_ours(ids)
            log.warning("spool.not_kept", events=len(kept), error=type(error).__name__)
            return  # they wait for the database, as they did
        for _, stored in kept:
            if not stored.done():
                stored.set_result(True)

    async def run(self, store: Callable[[Arrival], Awaitable[bool]]) -> None:
        """Bring into the database by `store`, which says whether it was new, what is left, until cancelled."""
        while self._spool:
            brought_in = 0
            try:
                brought_in = await self.bring_in(store)
            except (sqlite3.Error, OSError) as error:
                log.warning("spool.not_read", error=type(error).__name__)
            if not brought_in:
                await asyncio.sleep(EVERY)

    async def bring_in(self, store: Callable[[Arrival], Awaitable[bool]]) -> int:
        """Forget what is in the database, and bring in the first of what others have left; return how many these are.

        Raises sqlite3.Error; OSError.
        """
        if not self._spool:
            return 0
        await self._forget(self._spool)
        left = [event for event in await self._spool.left() if event.id not in self._ours | self._stored]
        if not left:
            return 0
        found = await asyncio.gather(*map(store, left), return_exceptions=True)
        stored = {event.id for event, new in zip(left, found, strict=True) if isinstance(new, bool)}
        log.info("spool.brought_in", events=len(stored), left=len(left) - len(stored))
        self._stored |= stored
        await self._forget(self._spool)
        return len(stored)

    async def _forget(self, spool: Spool) -> None:
        """Forget what is stored. If that fails it is brought in once more, which changes nothing."""
        stored, self._stored = self._stored, set()
        if stored:
            await spool.forget(stored)

    async def end(self) -> None:
        """Wait a moment for what is in the spool to come into the database; the line must still be moving."""
        if self._ours:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_of_ours.wait(), FAREWELL)

    async def close(self) -> None:
        """Forget what came into the database, and close the file. What else is there is brought in by the next web."""
        self.turn_has_come()
        if not self._spool:
            return
        if self._keeping:
            await asyncio.wait([self._keeping])
        try:
            await self._forget(self._spool)
        except (sqlite3.Error, OSError) as error:
            log.warning("spool.not_forgotten", error=type(error).__name__)
        await self._spool.close()
