"""Many rows read, and written, in one statement each, past the ORM: its objects cost more than the work with them."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError

from models.among import among
from models.grant import Grant, GrantData
from models.row import RowData, table_of

GRANTS = table_of(Grant)


async def read_grants(session: AsyncSession, ids: Iterable[str], *, to_change: bool = False) -> dict[str, GrantData]:
    """Read grants as data, a tenth of the cost of row objects: only `write_changes` writes what is changed in them.

    Those that are read `to_change` are locked, in the order of their ids, so that two workers never wait for each
    other in a ring.
    """
    if not (wanted := list(ids)):
        return {}
    those = sa.select(GRANTS).where(among(GRANTS.c.id, wanted)).order_by(GRANTS.c.id)
    return {grant.id: grant for grant in await grants_of(session, those.with_for_update() if to_change else those)}


async def grants_of(session: AsyncSession, those: sa.Select[*tuple[Any, ...]]) -> list[GrantData]:
    """Read, as data, the grants that a `select(GRANTS)` is for."""
    return [GrantData.read(row) for row in (await session.execute(those)).mappings()]


async def write_changes(session: AsyncSession, rows: Sequence[RowData]) -> None:
    """Write what was changed in these rows of one table since they were read; they must be locked.

    Rows of an earlier session will do as well. Of grants, an UPDATE for each would take 0.35 ms on SQLite and 0.6 ms
    on PostgreSQL; of a hundred together each takes 0.02 to 0.08 ms. The version of a grant goes up, and is compared
    (StaleDataError) where the driver counts what it updates in bulk: aiosqlite does, asyncpg doesn't, and there it is
    the locks alone that keep others out.
    """
    changed = [(row, mine) for row in rows if (mine := _changed(row))]
    if not changed:
        return
    table = table_of(type(rows[0]).mapped())
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
        _note_written(row, mine)


def _is_data(row: RowData) -> bool:
    return type(row).mapped() is not type(row)


def _changed(row: RowData) -> set[str]:
    return row.model_fields_set if _is_data(row) else set(sa.inspect(row, raiseerr=True).committed_state)


def _parameters(row: Any, names: Sequence[str]) -> dict[str, Any]:
    values = {f"new_{name}": getattr(row, name) for name in names}
    return {"of_id": row.id, **({"of_version": row.version} if isinstance(row, GrantData) else {}), **values}


def _note_written(row: RowData, names: Iterable[str]) -> None:
    if _is_data(row):
        if isinstance(row, GrantData):
            row.version += 1
        row.model_fields_set.clear()
        return
    for name in names:
        set_committed_value(row, name, getattr(row, name))
