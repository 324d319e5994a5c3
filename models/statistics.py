"""What SQLite knows of its tables: it takes the right index only where it was let count the rows."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import Database

COUNTS = sa.table("sqlite_stat1", sa.column("tbl"), sa.column("stat"))
"""Its own table: `stat` begins with how many rows an index has."""
FEW = 100


async def count_rows(database: Database) -> None:
    """Let SQLite count, if a table has twice the rows it had; PostgreSQL does so by itself.

    It counts all rows, while nobody else can write. `PRAGMA optimize` looks at a part of each index (and before SQLite
    3.46 only if its own connection asked for it): of a part it learns that all grants of an application are no more
    than that, and walks through them. The table of its counts is made anew, since only that tells other connections.
    """
    if not database.is_sqlite or not await _has_grown(database):
        return
    async with database.writing() as session:
        await session.execute(sa.text("DROP TABLE IF EXISTS sqlite_stat1"))
        await session.execute(sa.text("ANALYZE"))


async def _has_grown(database: Database) -> bool:
    async with database.reading() as session:
        tables = set(await session.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'table'")))
        counted = await _counted(session) if COUNTS.name in tables else {}
        for table in tables - {COUNTS.name}:
            last = await session.scalar(sa.select(sa.func.max(sa.column("rowid"))).select_from(sa.table(table)))
            if (last or 0) > 2 * counted.get(table, 0) + FEW:
                return True
    return False


async def _counted(session: AsyncSession) -> dict[str, int]:
    most = sa.select(COUNTS.c.tbl, sa.func.max(sa.cast(COUNTS.c.stat, sa.Integer))).group_by(COUNTS.c.tbl)
    return {str(table): int(rows) for table, rows in await session.execute(most)}
