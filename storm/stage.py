"""What a fault can lay its hands on, and what arrivals go through: the parts, Nylas, the product, our tables."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from sqlalchemy import select
from sqlmodel import col

from models import Event
from models.database import Database
from models.kinds import GRANT_UPDATED
from storm.courier import Courier
from storm.nylas import Nylas
from storm.office import Office
from storm.parts import Parts
from storm.people import People
from storm.stretches import Times

BAIT = "bait"
"""The credential of grants that are there to be renewed when a fault needs that."""


class DidNotFire(Exception):
    """A fault that was to strike did not do what it is for; the message says how it was seen."""


@dataclass(slots=True)
class Stage:
    """The storm's own hands. `users` are the addresses of those who may expire and sign in."""

    parts: Parts
    nylas: Nylas
    courier: Courier
    people: People
    office: Office
    database: Database
    users: list[str] = field(default_factory=list)
    grants: dict[str, str] = field(default_factory=dict)
    """The grant id of each user, as it was at the beginning."""
    canary: str = ""
    imported: set[str] = field(default_factory=set)
    """All grants that were there before the storm."""
    recovers_within: float = 120.0
    """Seconds after which the storm waits no longer for what should go on."""
    interrupted: int = 0
    ambiguous: list[tuple[float, float]] = field(default_factory=list)
    """The stretches in which answers of Nylas may have been lost, in seconds since 1970."""
    baits: set[asyncio.Task[object]] = field(default_factory=set)
    """What a fault of Nylas was to strike, as far as it may be under way yet."""
    without_valkey: list[tuple[float, float]] = field(default_factory=list)
    """The stretches in which Valkey was paused or dead."""
    troubled: list[tuple[float, float]] = field(default_factory=list)
    """The stretches from a fault's beginning to when all was well again."""
    disk: Times = field(default_factory=list)

    async def hint(self) -> datetime:
        """Bring a hint about the canary, and return the moment that it carries."""
        moment = datetime.fromtimestamp(round(time.time(), 3), UTC)
        about = {"code": 25014, "grant_id": self.canary, "integration_id": "storm", "provider": "google"}
        event = {
            "specversion": "1.0",
            "type": GRANT_UPDATED,
            "source": "/nylas/system",
            "id": f"canary-{moment.timestamp():.3f}",
            "time": moment.timestamp(),
            "data": {"application_id": "storm", "object": about},
        }
        await self.courier.bring(event, hurry=True)
        return moment

    async def is_settled(self, moment: datetime) -> bool:
        """Say whether the hint of this moment has been dealt with."""
        wanted = select(col(Event.settled_at)).where(
            col(Event.grant_id) == self.canary, col(Event.occurred_at) == moment
        )
        with suppress(Exception):  # the database may be away
            async with asyncio.timeout(5), self.database.reading() as session:
                return (await session.execute(wanted)).scalar() is not None
        return False

    def note_answers(self) -> None:
        """Write down when and how soon each webhook was answered, how the disk was, and when there was trouble."""
        noted = {
            "answered": [(one.at, one.seconds, one.taken) for one in self.courier.answered],
            "disk": self.disk,
            "troubled": self.troubled,
            "without_valkey": self.without_valkey,
        }
        (self.parts.folder / "answers.json").write_text(json.dumps(noted))

    async def shown_by_web(self) -> str:
        """What web tells of itself to whoever asks; nothing while it does not answer."""
        shown = ""
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
                for path in ("healthz", "readyz"):
                    async with session.get(f"{self.parts.web}/{path}") as answer:
                        shown += f"{answer.headers}\n{await answer.text()}\n"
        return shown

    async def product_has_heard(self) -> int:
        """How many entries the product's books have; 0 while it does not answer."""
        try:
            return int((await self._product("books?from=1000000000"))["all"])
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    async def product_books(self) -> list[dict[str, Any]]:
        """All that the product has heard."""
        heard: list[dict[str, Any]] = (await self._product("books"))["heard"]
        return heard

    async def _product(self, path: str) -> Any:
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{self.parts.product}/{path}") as answer,
        ):
            return await answer.json()


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float, every: float = 0.05) -> bool:
    """Wait until something holds; say whether it did in time."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every)
    return True
