"""Many changed rows in one statement: fewer steps than the ORM takes, which for versioned rows sends one for each."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import SQLModel

from models.grant import Grant


def table_of(model: type[SQLModel]) -> sa.Table:
    """The table itself: a statement about it goes past the ORM."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


async def write_changes(session: AsyncSession, rows: Sequence[SQLModel]) -> None:
    """Write what was changed in these rows of one table since they were read; they must be locked.

    Rows of an earlier session will do as well. Of grants, an UPDATE for each would take 0.35 ms on SQLite and 0.6 ms
    on PostgreSQL; of a hundred together each takes 0.02 ms. A version goes up as it would with the ORM, and is compared
    (StaleDataError) where the driver counts what it updates in bulk: aiosqlite does, asyncpg doesn't, and there it is
    the locks alone that keep others out.
    """
    changed = [(row, mine) for row in rows if (mine := _changed(row))]
    if not changed:
        return
    table = table_of(type(rows[0]))
    names = sorted(set[str]().union(*(mine for _, mine in changed)))
    one = (
        sa.update(table)
        .where(table.c.id == sa.bindparam("of_id"))
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )
    versioned = table.name == Grant.__tablename__
    if versioned:
        one = one.where(table.c.version == sa.bindparam("of_version")).values(version=table.c.version + 1)
    values = [_parameters(row, names, versioned) for row, _ in changed]
    written = await (await session.connection()).execute(one, values)
    if versioned and written.rowcount not in (-1, len(changed)):
        raise StaleDataError(f"of {len(changed)} rows of {table.name} {written.rowcount} were as they had been read")
    for row, mine in changed:
        for name in mine:
            set_committed_value(row, name, getattr(row, name))
        if isinstance(row, Grant):
            set_committed_value(row, "version", row.version + 1)


def _changed(row: SQLModel) -> set[str]:
    return set(sa.inspect(row, raiseerr=True).committed_state)


def _parameters(row: Any, names: Sequence[str], versioned: bool) -> dict[str, Any]:
    values = {f"new_{name}": getattr(row, name) for name in names}
    return {"of_id": row.id, **({"of_version": row.version} if versioned else {}), **values}
