"""What arrives: each thing of the plan is done at Nylas, at the front door or at the command line."""

import asyncio
from typing import Any

import aiohttp

from storm import poison
from storm.plan import Act, Arrival, Wave
from storm.stage import Stage

GONE = (200, 404)
AGAIN_AFTER = 1.0
DELETES_FOR = 90


class Arriving:
    """Lets waves arrive, and knows what was changed at Nylas by that."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._tasks: set[asyncio.Task[None]] = set()
        self.expiries: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.failed: list[str] = []

    @property
    def under_way(self) -> int:
        """How many things are not done yet."""
        return sum(not task.done() for task in self._tasks)

    async def wave(self, wave: Wave) -> None:
        """Let all of a wave begin, each in its time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, arrival in enumerate(wave.arrivals):
            await asyncio.sleep(began + arrival.after - loop.time())
            self._tasks.add(asyncio.create_task(self._do(arrival, wave.number, number)))

    async def _do(self, arrival: Arrival, wave: int, number: int) -> None:
        stage, user = self._stage, self._stage.users[arrival.whom]
        try:
            match arrival.act:
                case Act.EXPIRE:
                    await self._expire(user, arrival)
                case Act.HINT:
                    event = _hint(f"hint-{wave}-{number}", arrival.kind, stage.grants[user])
                    await stage.courier.bring(event, doubled=arrival.doubled, late=arrival.late)
                case Act.POISON:
                    body = poison.body(arrival.kind, 1_000 * wave + number)
                    await stage.courier.bring_poison(body, doubled=arrival.doubled)
                case Act.DELETE:
                    await self._delete(stage.grants[user])
                case Act.SIGN_IN:
                    await stage.people.sign_in(user)
                case Act.ARRIVE:
                    await stage.people.sign_in(f"new-{wave}-{number}@storm.example")
                case Act.CAMPAIGN:
                    await stage.office.start_campaign(pool(wave))
                case Act.COMMAND:
                    await stage.office.run(*COMMANDS[arrival.whom % len(COMMANDS)])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failed.append(f"{arrival.act}: {type(error).__name__}: {error}")

    async def _expire(self, user: str, arrival: Arrival) -> None:
        """Who has been deleted meanwhile can't expire."""
        try:
            told = await self._stage.nylas.control("POST", f"grants/{user}/expire", {"send": False})
        except aiohttp.ClientResponseError as error:
            if error.status != 404:
                raise
            return
        grant_id = told["grant"]["id"]
        self.expiries[grant_id] = self.expiries.get(grant_id, 0) + bool(told["changed"])
        await self._stage.courier.bring(told["event"], doubled=arrival.doubled, late=arrival.late)

    async def _delete(self, grant_id: str) -> None:
        """Delete a grant at Nylas, which tells of it itself; faults of Nylas strike us as well."""
        self.deleted.add(grant_id)
        for _ in range(DELETES_FOR):
            try:
                if await self._stage.nylas.delete(grant_id) in GONE:
                    return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(AGAIN_AFTER)
        self.failed.append(f"delete: {grant_id} is still there")


COMMANDS = (
    ("sync",),
    ("events", "list", "--limit", "5"),
    ("campaigns", "list"),
    ("grants", "list", "--status", "expired"),
)


def pool(wave: int) -> str:
    """The credential of those that the campaign of a wave renews."""
    return f"pool-{wave}"


def _hint(id: str, kind: str, grant_id: str) -> dict[str, Any]:
    """What Nylas tells of a grant of which nothing has changed: it may be old news, or wrong."""
    about = {"code": 25014, "grant_id": grant_id, "integration_id": "storm", "provider": "google"}
    return {
        "specversion": "1.0",
        "type": kind,
        "source": "/nylas/system",
        "id": id,
        "time": 1_700_000_000,
        "data": {"application_id": "storm", "object": about},
    }
