"""Many rows read, and written, in one statement each, past the ORM: its objects cost more than the work with them."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import SQLModel

from models.grant import Grant, GrantData

AS_READ = "evergrant as read"


def table_of(model: type[SQLModel]) -> sa.Table:
    """The table itself: a statement about it goes past the ORM."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


GRANTS = table_of(Grant)


async def read_grants(session: AsyncSession, ids: Iterable[str], *, to_change: bool = False) -> dict[str, GrantData]:
    """Read grants as data, a fifth of the cost of row objects: only `write_changes` writes what is changed in them.

    Those that are read `to_change` are locked, in the order of their ids, so that two workers never wait for each
    other in a ring.
    """
    if not (wanted := list(ids)):
        return {}
    those = sa.select(GRANTS).where(GRANTS.c.id.in_(wanted)).order_by(GRANTS.c.id)
    read: dict[str, GrantData] = {}
    as_read = session.info.setdefault(AS_READ, {})
    for row in (await session.execute(those.with_for_update() if to_change else those)).mappings():
        read[row["id"]] = GrantData.model_construct(**row)
        as_read[row["id"]] = dict(row)
    return read


async def write_changes(session: AsyncSession, rows: Sequence[SQLModel]) -> None:
    """Write what was changed in these rows of one table since they were read; they must be locked.

    Rows of an earlier session will do as well. Of grants, an UPDATE for each would take 0.35 ms on SQLite and 0.6 ms
    on PostgreSQL; of a hundred together each takes 0.02 to 0.08 ms. The version of a grant goes up, and is compared
    (StaleDataError) where the driver counts what it updates in bulk: aiosqlite does, asyncpg doesn't, and there it is
    the locks alone that keep others out.
    """
    changed = [(row, mine) for row in rows if (mine := _changed(session, row))]
    if not changed:
        return
    table = GRANTS if isinstance(rows[0], GrantData) else table_of(type(rows[0]))
    names = sorted(set[str]().union(*(mine for _, mine in changed)))
    one = (
        sa.update(table)
        .where(table.c.id == sa.bindparam("of_id"))
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )
    if table is GRANTS:
        one = one.where(table.c.version == sa.bindparam("of_version")).values(version=table.c.version + 1)
    values = [_parameters(row, names) for row, _ in changed]
    written = await (await session.connection()).execute(one, values)
    if table is GRANTS and written.rowcount not in (-1, len(changed)):
        raise StaleDataError(f"of {len(changed)} grants {written.rowcount} were as they had been read")
    for row, mine in changed:
        _note_written(session, row, mine)


def _changed(session: AsyncSession, row: SQLModel) -> set[str]:
    if type(row) is GrantData:
        return {name for name, value in session.info[AS_READ][row.id].items() if getattr(row, name) != value}
    return set(sa.inspect(row, raiseerr=True).committed_state)


def _parameters(row: Any, names: Sequence[str]) -> dict[str, Any]:
    values = {f"new_{name}": getattr(row, name) for name in names}
    return {"of_id": row.id, **({"of_version": row.version} if isinstance(row, GrantData) else {}), **values}


def _note_written(session: AsyncSession, row: SQLModel, names: Iterable[str]) -> None:
    if type(row) is GrantData:
        row.version += 1
        session.info[AS_READ][row.id] = {name: getattr(row, name) for name in session.info[AS_READ][row.id]}
        return
    for name in names:
        set_committed_value(row, name, getattr(row, name))
