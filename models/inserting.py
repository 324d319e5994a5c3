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

FEW = 8
"""So many are inserted by a statement of their own: SQLAlchemy writes one for each list of rows anew."""


async def insert_new(
    session: AsyncSession, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], *, returning: str = "id"
) -> list[Any]:
    """Insert those of the rows that are new, and leave those that are there as they are; return a column of the new.

    They have the same columns. A few, as most are, go by a statement that is prepared for so many.
    """
    if not rows:
        return []
    names = tuple(rows[0])
    new = _new(session.get_bind().dialect.name, table_of(model), returning)
    if len(rows) <= FEW:
        given = {_given(name, place): row[name] for place, row in enumerate(rows) for name in names}
        return await _few(new, names, len(rows)).firsts(session, given)
    stored = await (await session.connection()).execute(new, rows)
    return list(stored.scalars())


@lru_cache(128)
def _new(dialect: str, table: sa.Table, returning: str) -> sa.Insert:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(table.c[returning])


@lru_cache(256)
def _few(new: sa.Insert, names: Sequence[str], rows: int) -> Prepared:
    kinds = {name: new.table.c[name].type for name in names}
    return Prepared(
        new.values(
            [{name: sa.bindparam(_given(name, row), type_=kinds[name]) for name in names} for row in range(rows)]
        )
    )


def _given(name: str, row: int) -> str:
    """A bindparam must not be named as a column is."""
    return f"new_{name}_{row}"
