"""What a process needs for its work: one engine, one HTTP client, one budget, opened late and closed once."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from redis.asyncio import Redis
from sqlalchemy.orm import configure_mappers

from models import Application
from models.database import Database
from models.sealing import Keyring
from nylas_api import CONNECTORS_PATH, HttpClient, NylasClient, open_http
from tasks.clock import system_clock
from tasks.context import Context
from tasks.flow import Flow
from tasks.notices.outbound import Outbound
from worker.agreed_clock import AgreedClock, agreed
from worker.applications import ensure_application
from worker.budget import SharedBudget
from worker.endpoints import ensure_endpoints
from worker.key_watch import KeyWatch
from worker.onward import Onward
from worker.places import RESERVED, Places
from worker.policy import policy_of
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Runtime:
    """The open parts of a process, and the context that its tasks are handed."""

    settings: Settings
    context: Context
    application: Application
    http: HttpClient
    redis: Redis | None
    key_watch: KeyWatch
    onward: Onward
    clock: AgreedClock

    async def close(self) -> None:
        """Close what was opened."""
        await self.key_watch.close()
        await self.http.aclose()
        await self.context.outbound.close()
        if self.redis:
            await self.redis.aclose()
        await self.context.database.close()


async def open_runtime(
    settings: Settings,
    *,
    ring: Callable[[str, Sequence[UUID]], None],
    calls_in_flight: int = 50,
    redis_url: str | None = None,
    watch_key: bool = False,
) -> Runtime:
    """Open the parts, on the loop that will use them. At most `calls_in_flight` requests are at Nylas at once.

    With `watch_key` a refused API key becomes an incident: for what serves, not for an admin's mistyped command.
    """
    configure_mappers()  # else the first transaction does, and on SQLite all others wait for it
    database = Database(settings.database)
    keys = Keyring(settings.keys())
    try:
        clock = await agreed(database, system_clock)
        application = await ensure_application(database, keys, settings, now=clock())
        await ensure_endpoints(database, keys, settings, application.id, now=clock())
    except BaseException:
        await database.close()
        raise
    url = redis_url or settings.redis_url
    redis = Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5) if url else None
    http, key_watch, onward = open_http(connections=calls_in_flight + RESERVED), KeyWatch(), Onward()
    nylas = NylasClient(
        api_uri=application.api_uri,
        api_key=keys.reveal(application, "api_key"),
        client_id=application.client_id,
        http=http,
        budget=SharedBudget(redis, application=application.client_id, rate=settings.nylas_rate),
        in_flight=Places(calls_in_flight),
        connectors_path=settings.nylas_connectors_path or CONNECTORS_PATH,
        now=clock,
        key_heard=key_watch.heard,
    )
    context = Context(
        application_id=application.id,
        database=database,
        nylas=nylas,
        keys=keys,
        ring=ring,
        now=clock,
        chance=random.random,
        policy=policy_of(settings),
        public_url=settings.public_url,
        flow=Flow(calls_in_flight),
        outbound=Outbound(allow_private=settings.notice_allow_private, mail=settings.mail_server),
    )
    if watch_key:
        key_watch.write_to(context)
    return Runtime(settings, context, application, http, redis, key_watch, onward, clock)


_opening: Callable[[], "asyncio.Task[Runtime]"] | None = None
_opened: "asyncio.Task[Runtime] | None" = None


def opens_with(start: Callable[[], "asyncio.Task[Runtime]"]) -> None:
    """Say how this process opens its runtime: at first use, on its loop."""
    global _opening, _opened
    _opening, _opened = start, None


async def current() -> Runtime:
    """The runtime of this process; several tasks that come first at once open it once."""
    global _opened
    if _opened is None or (_opened.done() and (_opened.cancelled() or _opened.exception())):
        if _opening is None:
            raise RuntimeError("no runtime was prepared: opens_with() comes first")
        _opened = _opening()
    return await asyncio.shield(_opened)
