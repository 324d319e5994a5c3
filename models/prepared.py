"""Statements that are compiled once, and from then on only given their values, on the driver's own cursor.

SQLAlchemy finds out at each execution whether a statement is the same as one before, and gets ready for whatever its
rows may be asked. On SQLite that took 0.1 to 0.2 ms of processor time of a statement, with all other writers waiting,
and SQLite itself 0.01 to 0.04; on PostgreSQL it is a half of what a statement takes here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Process = Callable[[Any], Any]
Statement = sa.Select[*tuple[Any, ...]] | sa.Update | sa.Insert


class Prepared:
    """A statement, made and kept by its module: what changes from time to time is a `bindparam`.

    What was changed in row objects of the session is not written before it, and they are not told of what it changes.
    """

    def __init__(self, statement: Statement) -> None:
        """Nothing is compiled yet. An INSERT or UPDATE says what it is RETURNING, if it is read."""
        self.statement = statement
        self.names = tuple(str(column.key) for column in statement.exported_columns)
        self._forms: dict[str, _Form] = {}

    async def rows(self, session: AsyncSession, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute it with these values, and return all rows. Raises DBAPIError; KeyError for what is not given."""
        return await session.run_sync(self._execute, given)

    async def dicts(self, session: AsyncSession, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        return [dict(zip(self.names, row, strict=True)) for row in await self.rows(session, given)]

    async def firsts(self, session: AsyncSession, given: Mapping[str, Any]) -> list[Any]:
        """The first column of each row."""
        return [row[0] for row in await self.rows(session, given)]

    async def write(self, session: AsyncSession, given: Sequence[Mapping[str, Any]]) -> int:
        """Execute it with each of these; return how many rows it changed, or -1 where the driver does not say."""
        return await session.run_sync(self._write, given)

    def _execute(self, session: Session, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        connection = session.connection()
        form = self._form(connection.dialect)
        with _executed(connection, form.text, form.values(given)) as cursor:
            if form.shown is None:
                form.shown = _shown(self.statement, cursor.description or (), connection.dialect)
            return [form.read(row) for row in cursor.fetchall()]

    def _write(self, session: Session, given: Sequence[Mapping[str, Any]]) -> int:
        connection = session.connection()
        form = self._form(connection.dialect)
        if len(given) > 1:
            return connection.exec_driver_sql(form.text, [form.values(one) for one in given]).rowcount
        with _executed(connection, form.text, form.values(given[0])) as cursor:
            return cursor.rowcount

    def _form(self, dialect: Dialect) -> "_Form":
        if (form := self._forms.get(dialect.name)) is None:
            form = self._forms[dialect.name] = _form(self.statement, dialect)
        return form


def execute(connection: sa.Connection, text: str) -> None:
    """Execute what returns nothing, and has no values, in this way."""
    with _executed(connection, text, ()):
        pass


@contextmanager
def _executed(connection: sa.Connection, text: str, values: tuple[Any, ...]) -> Iterator[DBAPICursor]:
    """SQLAlchemy's way to a driver's cursor, with its events, and what it makes of errors, but without its results."""
    cursor = connection.connection.cursor()
    connection._cursor_execute(cursor, text, values)
    try:
        yield cursor
    finally:
        cursor.close()


@dataclass(slots=True)
class _Form:
    """What a statement is for one kind of database."""

    text: str
    given: tuple[tuple[str, Process | None], ...]
    """The values in their order; each with what makes of it what the driver takes."""
    fixed: Mapping[str, Any]
    """Those that are always the same."""
    shown: tuple[tuple[int, Process], ...] | None = None
    """The columns that are not as the driver gives them; it says of which kind they are only with the first rows."""

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        fixed = self.fixed
        return tuple(
            fixed[name] if name in fixed else process(given[name]) if process else given[name]
            for name, process in self.given
        )

    def read(self, row: Any) -> tuple[Any, ...]:
        if not self.shown:
            return tuple(row)
        values = list(row)
        for place, process in self.shown:
            values[place] = process(values[place])
        return tuple(values)


def _form(statement: Statement, dialect: Dialect) -> _Form:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    if compiled.insert_prefetch:  # SQLAlchemy would put their defaults in at each execution
        raise TypeError(f"give {', '.join(map(str, compiled.insert_prefetch))} as well")
    to_come = {name: None for name, bind in compiled.binds.items() if bind.required}
    state = compiled.construct_expanded_state(to_come, escape_names=False)
    names = state.positiontup or []
    processes: dict[str, Process | None] = {
        name: _to_driver(compiled.binds[name].type, dialect) if name in compiled.binds else state.processors.get(name)
        for name in names
    }
    fixed = {
        name: process(state.parameters[name]) if (process := processes[name]) else state.parameters[name]
        for name in names
        if name not in to_come
    }
    return _Form(state.statement, tuple((name, processes[name]) for name in names), fixed)


def _shown(statement: Statement, description: Sequence[Any], dialect: Dialect) -> tuple[tuple[int, Process], ...]:
    processes = (
        column.type.dialect_impl(dialect).result_processor(dialect, kind)
        for column, (_, kind, *_) in zip(statement.exported_columns, description, strict=True)
    )
    return tuple((place, process) for place, process in enumerate(processes) if process)


def _to_driver(kind: TypeEngine[Any], dialect: Dialect) -> Process | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)
