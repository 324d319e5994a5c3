"""What every command of the CLI that does some work needs: the open parts, for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from ingress.checked import settings_or_exit
from ingress.migrating import first_line
from ingress.terminal import fail
from worker.app import make_app
from worker.doorbell import Doorbell
from worker.logs import keep_off_stdout, quiet
from worker.runtime import Runtime, open_runtime

T = TypeVar("T")


def run(command: Callable[[Runtime], Awaitable[T]]) -> T:
    """Run a command with everything open: the database, Nylas, and the doorbell if there is a Redis to ring at.

    Without `EVERGRANT_REDIS_URL` nothing is rung; the sweep of a running worker finds the rows within a second or two.
    """
    keep_off_stdout()
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
        fail(f"The database does not answer as it should: {first_line(error)}\nIs it migrated? (evergrant migrate)")
    finally:
        if doorbell:
            doorbell.stop()
