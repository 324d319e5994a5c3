"""The database at this release's revision: brought there, or found there."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ingress.terminal import fail
from models.database import Database
from models.migrations.standing import Standing, standing
from worker.settings import Settings

log = structlog.get_logger()


def migrate(settings: Settings) -> None:
    """Bring the database's tables up to this release."""
    if settings.uses_sqlite:
        settings.data_dir.mkdir(parents=True, exist_ok=True)

    async def run() -> None:
        database = Database(settings.database)
        try:
            if await standing(database) is Standing.BEHIND:
                from models.migrations.run import upgrade

                await upgrade(database)
        finally:
            await database.close()

    asyncio.run(run())


def migrated_or_exit(settings: Settings) -> None:
    """Exit with 1 unless the database answers and is at this release's revision, or a newer one's."""

    async def look() -> Standing:
        database = Database(settings.database)
        try:
            return await standing(database)
        finally:
            await database.close()

    try:
        stands = asyncio.run(look())
    except (SQLAlchemyError, OSError) as error:
        fail(f"The database does not answer: {first_line(error)}")
    if stands is Standing.AHEAD:
        log.warning("database.ahead", then="start this process with the newer release")
    elif stands is Standing.BEHIND:
        fail("The database is not at this release's revision. Run: evergrant migrate")


def first_line(error: BaseException) -> str:
    """What an error of the database says, in short."""
    return (str(getattr(error, "orig", error)) or type(error).__name__).splitlines()[0][:300]
