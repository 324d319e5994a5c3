"""A flood: events that are stored in one transaction and rung for, as the web front does, until all are settled."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
from sqlalchemy import select
from sqlmodel import col

from bench.events.installation import Installation
from bench.intake.bodies import notification
from ingress.notifications import read_notification
from models import Application
from models.arrivals import store_arrivals
from models.database import Database
from models.kinds import GRANT_EXPIRED
from worker.app import make_app
from worker.doorbell import Doorbell

PATIENCE = 180.0
LOOK_EVERY = 0.02
OPEN = "SELECT EXISTS (SELECT FROM event WHERE settled_at IS NULL AND kind = 'grant.expired')"
EXPIRED = "SELECT count(*) FROM \"grant\" WHERE status = 'expired'"


class NotSettled(Exception):
    """The work was not done, or not in time; the message says how much of it was."""


class Flood:
    """One `grant.expired` for each of many grants that Nylas calls invalid by now."""

    def __init__(self, there: Installation, grants: Sequence[str]) -> None:
        """`grants` are known to Evergrant, as valid."""
        self._there, self._grants = there, grants

    @property
    def events(self) -> int:
        """How many they are."""
        return len(self._grants)

    def run(self, database_url: str) -> tuple[float, int]:
        """Store the events; return the seconds from the commit until the last is settled, and the calls at Nylas."""
        self._there.sim("DELETE", "calls")
        seconds = asyncio.run(self._run(database_url))
        return seconds, int(self._there.sim("GET", "calls")["total"])

    async def _run(self, database_url: str) -> float:
        doorbell = Doorbell(make_app(self._there.redis_url)).start()
        connection = await asyncpg.connect(database_url)
        try:
            began = await self._store(database_url, doorbell)
            while await connection.fetchval(OPEN):
                if time.monotonic() - began > PATIENCE:
                    raise NotSettled(f"not all of {self.events} events were settled within {PATIENCE:g} s")
                await asyncio.sleep(LOOK_EVERY)
            took = time.monotonic() - began
            if (expired := await connection.fetchval(EXPIRED)) != self.events:
                raise NotSettled(f"{self.events} events are settled, and {expired} grants are expired")
            return took
        finally:
            doorbell.stop()
            await connection.close()

    async def _store(self, database_url: str, doorbell: Doorbell) -> float:
        """Store them as the web front does, but all in one commit; return its moment."""
        database = Database(database_url, pool_size=1)
        now = datetime.now(UTC)
        async with database.reading() as session:
            application_id = (await session.scalars(select(col(Application.id)))).one()
        events = [
            read_notification(notification(number, GRANT_EXPIRED, grant_id), application_id=application_id, now=now)
            for number, grant_id in enumerate(self._grants)
        ]
        await store_arrivals(database, lambda: events)
        began = time.monotonic()
        doorbell.ring(GRANT_EXPIRED, [event.id for event in events])
        await database.close()
        return began
