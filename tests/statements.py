"""The SQL that reaches the database, and which of it writes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event as sqlalchemy_event

from tasks.context import Context


@asynccontextmanager
async def statements(ctx: Context) -> AsyncIterator[list[str]]:
    """The SQL that is run meanwhile."""
    seen: list[str] = []

    def see(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = ctx.database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", see)
    yield seen
    sqlalchemy_event.remove(engine, "before_cursor_execute", see)


def writes(seen: list[str]) -> list[str]:
    """Those that write, or that keep other writers out (BEGIN IMMEDIATE takes SQLite's only write lock)."""
    return [said for said in seen if said.split()[0] in ("INSERT", "UPDATE", "DELETE") or "IMMEDIATE" in said]
