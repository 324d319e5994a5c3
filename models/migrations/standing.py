"""Where a database stands among the migrations, told without Alembic: each start asks that, and few have to migrate."""

from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from models.database import Database

VERSIONS = Path(__file__).parent / "versions"


class Standing(Enum):
    """Where a database is, seen from this release."""

    CURRENT = "current"
    BEHIND = "behind"
    """Not migrated to this release yet."""
    AHEAD = "ahead"
    """Migrated by a newer release, as in the midst of an upgrade: each migration leaves the release before it at work.

    The storm of an upgrade tries that with the last migration.
    """


async def standing(database: Database) -> Standing:
    """Say whether the database is at the newest revision that this release knows, or before it, or beyond."""
    async with database.engine.execution_options(evergrant_reading=True).connect() as connection:
        found = await connection.run_sync(_revision)
    if found == newest():
        return Standing.CURRENT
    return Standing.AHEAD if found.isdecimal() and int(found) > int(newest()) else Standing.BEHIND


def newest() -> str:
    """The newest revision that this release knows: they are numbered, and their files are named for their numbers."""
    return max(file.name[:4] for file in VERSIONS.glob("[0-9]*.py"))


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
