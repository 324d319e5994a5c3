"""The courier: brings webhooks as Nylas does, signed, doubled, out of order, and again until they are taken."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from nylas_api import sign
from storm.books import Sent

GOOD = 200
COMES_AGAIN_FOR = 120.0
FIRST_WAIT, LONGEST_WAIT = 0.25, 3.0
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Answered:
    """When a webhook was brought, how long the answer took, and whether that was 200."""

    at: float
    seconds: float
    taken: bool = True


@dataclass(slots=True)
class Courier:
    """Keeps what was taken, and counts what was not at first."""

    web: str
    secret: str
    sent: dict[str, Sent] = field(default_factory=dict)
    answered: list[Answered] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    under_way: int = 0
    _session: aiohttp.ClientSession = field(init=False)

    def __post_init__(self) -> None:
        """Open the connections that all deliveries share."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100), timeout=timeout)

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    async def bring(
        self, event: Mapping[str, Any], *, doubled: bool = False, late: float = 0.0, hurry: bool = False
    ) -> None:
        """Bring an event until it is taken: twice at the same time, if it is doubled; later, if it is out of order.

        In a `hurry` it is tried again after the shortest wait each time.
        """
        self.under_way += 1
        try:
            await asyncio.sleep(late)
            attempts = (1, 2) if doubled else (1,)
            bodies = [json.dumps({**event, "webhook_delivery_attempt": attempt}).encode() for attempt in attempts]
            one = Sent(str(event["id"]))
            await asyncio.gather(*(self._until_taken(one, body, hurry=hurry) for body in bodies))
        finally:
            self.under_way -= 1

    async def bring_poison(self, body: bytes, *, doubled: bool = False) -> None:
        """Bring what no careful reader takes for an event."""
        self.under_way += 1
        try:
            one = Sent(hashlib.sha256(body).hexdigest(), poison=True)
            await asyncio.gather(*(self._until_taken(one, body) for _ in range(2 if doubled else 1)))
        finally:
            self.under_way -= 1

    async def _until_taken(self, one: Sent, body: bytes, *, hurry: bool = False) -> None:
        deadline, wait = time.monotonic() + COMES_AGAIN_FOR, FIRST_WAIT
        while time.monotonic() < deadline:
            if await self._post(body):
                self.sent[one.id] = replace(one)
                return
            await asyncio.sleep(wait)
            wait = wait if hurry else min(2 * wait, LONGEST_WAIT)
        self.given_up.append(one.id)

    async def _post(self, body: bytes) -> bool:
        began = time.monotonic()
        headers = {"x-nylas-signature": sign(self.secret, body), "content-type": "application/json"}
        try:
            async with self._session.post(f"{self.web}/webhooks/nylas", data=body, headers=headers) as answer:
                if answer.status == GOOD:
                    self.answered.append(Answered(began, time.monotonic() - began))
                    return True
                why = str(answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError):
            why = "no answer"
        self.answered.append(Answered(began, time.monotonic() - began, taken=False))
        self.refused[why] = self.refused.get(why, 0) + 1
        return False
