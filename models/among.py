"""`column = ANY (many values)`: one statement for lists of any length, on PostgreSQL and SQLite alike."""

import json
from collections.abc import Iterable
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class Values(TypeDecorator[list[Any]]):
    """Many ids or words as one parameter: an array on PostgreSQL, a JSON text on SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, of: type[UUID] | type[str]) -> None:
        """Hold UUIDs, or texts."""
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """An array where there are such."""
        kind: TypeEngine[Any] = ARRAY(sa.Uuid() if self.of is UUID else sa.String())
        return dialect.type_descriptor(kind if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        """Write a UUID as its column does: SQLite keeps its 32 digits."""
        if value is None or dialect.name == "postgresql":
            return value
        return json.dumps([one.hex for one in value] if self.of is UUID else value)


class Among(FunctionElement[bool]):
    """The condition itself, which each database writes in its own way."""

    inherit_cache = True
    type = sa.Boolean()

    def self_group(self, against: Any = None) -> Self:
        """Stand as it is: SQLAlchemy would write `… = 1` for SQLite, which no index helps with."""
        return self


def among(column: Any, values: Iterable[UUID] | Iterable[str]) -> sa.ColumnElement[bool]:
    """Say that a column of ids or words is one of these, as `column.in_(values)` does.

    An IN has a text of its own for each number of values: SQLAlchemy writes it out anew each time, and PostgreSQL, and
    SQLite as well, prepares a statement for each.
    """
    return Among(column, sa.bindparam(None, list(values), type_=_values_of(column), unique=True))


def among_given(column: Any, name: str) -> sa.ColumnElement[bool]:
    """Say that a column is one of a list that is given by this name when the statement is executed."""
    return Among(column, sa.bindparam(name, type_=_values_of(column)))


class Chosen(Among):
    """That a column is one of those that a SELECT chooses."""

    inherit_cache = True


def chosen(column: Any, choice: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Say that a column is one of those that a SELECT chooses, which runs once: it may have a LIMIT, and lock.

    PostgreSQL may run the SELECT within an IN once for each row, and then choose, and lock, others each time.
    """
    return Chosen(column, choice.scalar_subquery())


def _values_of(column: Any) -> Values:
    return Values(UUID if isinstance(column.type, sa.Uuid) else str)


@compiles(Among, "postgresql")
def _any(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **kw)} = ANY ({compiler.process(values, **kw)})"


@compiles(Chosen, "postgresql")
def _any_chosen(element: Chosen, compiler: SQLCompiler, **kw: Any) -> str:
    column, choice = element.clauses
    return f"{compiler.process(column, **kw)} = ANY (ARRAY{compiler.process(choice, **kw)})"


@compiles(Chosen, "sqlite")
def _in_chosen(element: Chosen, compiler: SQLCompiler, **kw: Any) -> str:
    column, choice = element.clauses
    return f"{compiler.process(column, **kw)} IN {compiler.process(choice, **kw)}"


@compiles(Among, "sqlite")
def _in(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    entries = sa.func.json_each(values).table_valued("value")
    return compiler.process(column.in_(sa.select(entries.c.value)), **kw)
