"""Rows are inserted, unless they are there already: by the same statement on both databases."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from models.prepared import Prepared
from models.row import table_of

FEW = 20


async def insert_new(
    session: AsyncSession, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *, returning: str = "id"
) -> list[Any]:
    """Insert those of the rows that are new, and leave those that are there as they are; return a column of the new.

    They have the same columns. A single one, as most are, goes by a statement that is prepared, and so do a few on
    SQLite, which no round trip leads to.
    """
    if not rows:
        return []
    names = tuple(rows[0])
    inserting = _inserting(session.get_bind().dialect.name, table_of(model), names, returning)
    if len(rows) <= inserting.one_by_one:
        given = [{_given(name): row[name] for name in names} for row in rows]
        return [new for one in given for new in await inserting.firsts(session, one)]
    stored = await (await session.connection()).execute(inserting.of_many, rows)
    return list(stored.scalars())


class _Inserting(Prepared):
    """An INSERT of one row, and of many."""

    def __init__(self, new: sa.Insert, names: Sequence[str]) -> None:
        super().__init__(new.values({name: sa.bindparam(_given(name), type_=new.table.c[name].type) for name in names}))
        self.of_many = new
        self.one_by_one = FEW if isinstance(new, sqlite.Insert) else 1


def _given(name: str) -> str:
    """A bindparam must not be named as a column is."""
    return f"new_{name}"


@lru_cache(128)
def _inserting(dialect: str, table: sa.Table, names: tuple[str, ...], returning: str) -> _Inserting:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return _Inserting(insert(table).on_conflict_do_nothing().returning(table.c[returning]), names)
