"""What every command of the CLI needs first: the settings, and the open parts for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from ingress.terminal import fail
from models.migrations import is_current
from worker.app import make_app
from worker.doorbell import Doorbell
from worker.logs import quiet
from worker.runtime import Runtime, open_runtime
from worker.settings import BadSettings, Settings, read

T = TypeVar("T")


def settings_or_exit() -> Settings:
    """Read the settings; if they are not right, say all that is wrong and exit with 2."""
    try:
        settings = read()
        settings.keys()
    except BadSettings as error:
        fail(str(error), code=2)
    return settings


def run(command: Callable[[Runtime], Awaitable[T]]) -> T:
    """Run a command with everything open: the database, Nylas, and the doorbell if there is a Redis to ring at.

    Without `EVERGRANT_REDIS_URL` nothing is rung; the sweep of a running worker finds the rows within a second or two.
    """
    settings = settings_or_exit()
    doorbell = Doorbell(make_app(settings.redis_url)).start() if settings.redis_url else None

    def ring(kind: str, ids: Sequence[UUID]) -> None:
        if doorbell:
            doorbell.ring(kind, ids)

    async def opened() -> T:
        runtime = await open_runtime(settings, ring=ring)
        try:
            return await command(runtime)
        finally:
            await runtime.close()

    try:
        with quiet():
            return asyncio.run(opened())
    except (SQLAlchemyError, OSError) as error:
        fail(f"The database does not answer as it should: {_first_line(error)}\nIs it migrated? (evergrant migrate)")
    finally:
        if doorbell:
            doorbell.stop()


def migrated_or_exit(settings: Settings) -> None:
    """Exit with 1 unless the database answers and is at this release's revision."""

    async def look() -> bool:
        from models.database import Database

        database = Database(settings.database)
        try:
            return await is_current(database)
        finally:
            await database.close()

    try:
        current = asyncio.run(look())
    except (SQLAlchemyError, OSError) as error:
        fail(f"The database does not answer: {_first_line(error)}")
    if not current:
        fail("The database is not at this release's revision. Run: evergrant migrate")


def redis_or_exit(settings: Settings) -> str:
    """The Redis that carries the messages; `web`, `worker` and `beat` by themselves must be told of it."""
    if not settings.redis_url:
        fail("EVERGRANT_REDIS_URL is missing (only `evergrant up` brings a Valkey of its own)", code=2)
    return settings.redis_url


def _first_line(error: BaseException) -> str:
    return (str(getattr(error, "orig", error)) or type(error).__name__).splitlines()[0][:300]
