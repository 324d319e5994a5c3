"""Rows made from numbers by the database itself: INSERT … SELECT, in the words of SQLite and of PostgreSQL."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

Number = sa.ColumnElement[int]
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a row can say of its number, 0 to N - 1."""

    session: AsyncSession
    now: datetime

    @property
    def _is_sqlite(self) -> bool:
        return self.session.get_bind().dialect.name == "sqlite"

    def hexed(self, number: Number, digits: int) -> Any:
        """The number in so many hexadecimal digits."""
        if self._is_sqlite:
            return sa.func.printf(f"%0{digits}x", number)
        return sa.func.lpad(sa.func.to_hex(number), digits, "0")

    def uuid(self, number: Number) -> Any:
        """An id that sorts by the number."""
        text = self.hexed(number, 32)
        return text if self._is_sqlite else sa.cast(text, sa.Uuid)

    def grant_id(self, number: Number) -> Any:
        """Nylas' id of a grant: it says nothing of when that was made."""
        scattered = self.hexed((number * 2_654_435_761) % 2**32, 8)
        return scattered.concat("-0000-4000-8000-").concat(self.hexed(number, 12))

    def ago(self, seconds: Any) -> Any:
        """The time so many seconds ago (in the future, if they are negative)."""
        at = sa.literal(int(self.now.timestamp()), sa.BigInteger) - seconds
        if self._is_sqlite:
            return sa.func.strftime("%Y-%m-%d %H:%M:%S.000000", at, "unixepoch")
        return sa.func.to_timestamp(at)

    async def add(self, model: type[SQLModel], many: int, row: Callable[[Number], Values]) -> None:
        """Insert a row for each number below `many`; it says by `where` which numbers it is not for."""
        if many < 1:
            return
        first = sa.select(sa.literal(0, sa.BigInteger).label("n")).cte("numbers", recursive=True)
        numbers = first.union_all(sa.select(first.c.n + 1).where(first.c.n < many - 1))
        values = row(numbers.c.n)
        where = values.pop("where", sa.true())
        columns = sa.inspect(model).columns
        said = [
            value if isinstance(value, sa.ColumnElement) else sa.literal(value, columns[name].type)
            for name, value in values.items()
        ]
        rows = sa.select(*said).select_from(numbers).where(where)
        await self.session.execute(sa.insert(model).from_select(list(values), rows, include_defaults=False))
