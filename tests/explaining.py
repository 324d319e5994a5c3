"""Every statement that reaches the database, and whether the database walks through a whole table for it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

from models.database import Database

GROWING = {"grant", "event", "campaign_item", "notice", "delivery", "transition", "auth_session"}
"""The tables that grow with the number of grants."""

IN_PASSING = "evergrant_in_passing"
"""The execution option of what a test asks for itself."""


@dataclass(frozen=True)
class Said:
    """A statement, and what it was given; as text, it is the same on both databases."""

    sql: str
    parameters: Any

    def __str__(self) -> str:
        plain = re.sub(r"\$\d+(::(TIMESTAMP WITH TIME ZONE|[A-Z]+))?", "?", " ".join(self.sql.split()))
        return plain.replace('"', "")


def _reads(sql: str) -> bool:
    """An INSERT of values reads nothing, though SQLite's plan for it names what a broken foreign key would need."""
    verb = sql.split(None, 1)[0]
    return verb in {"SELECT", "UPDATE", "DELETE", "WITH"} or (verb == "INSERT" and "SELECT" in sql)


@contextmanager
def recorded(database: Database) -> Iterator[list[Said]]:
    """Keep each statement that reads or changes rows meanwhile."""
    said: list[Said] = []

    def hear(_c: object, _cursor: object, sql: str, parameters: Any, context: Any, many: bool) -> None:
        aside = context is not None and context.execution_options.get(IN_PASSING)
        if _reads(sql) and not aside:
            row = parameters[0] if many and isinstance(parameters[0], tuple | list) else parameters
            said.append(Said(sql, tuple(row)))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", hear)


async def walks(database: Database, said: Said) -> list[str]:
    """Say which tables the database would walk through, all of it, for a statement: none, as it should be."""
    told = await plan(database, said)
    if database.is_sqlite:
        return _of_sqlite(told, said.sql)
    return [f"{node['Node Type']} of {node['Relation Name']}" for node in _nodes(told[0]["Plan"]) if _walks(node)]


async def plan(database: Database, said: Said) -> list[Any]:
    """What the database would do for a statement, in its own words: steps, or a tree of nodes."""
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (FORMAT JSON)"
    async with database.engine.connect() as connection:
        answer = await connection.exec_driver_sql(f"{explain} {said.sql}", said.parameters)
        if database.is_sqlite:
            return [row.detail for row in answer]
        told = answer.scalar_one()
    tree: list[Any] = json.loads(told) if isinstance(told, str) else told
    return tree


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _walks(node: dict[str, Any]) -> bool:
    return node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING


def _of_sqlite(steps: list[str], sql: str) -> list[str]:
    """A search by nothing but the application is a walk as well: all rows are of one."""
    tables = {name: name for name in GROWING}
    for table, alias in re.findall(r'"?(\w+)"? AS "?(\w+)"?', sql):
        tables[alias] = table
    return [
        step
        for step in steps
        if (found := re.match(r"(SCAN|SEARCH) (\w+)(.*)", step))
        and tables.get(found[2]) in GROWING
        and (("INDEX" not in found[3]) if found[1] == "SCAN" else found[3].endswith("(application_id=?)"))
    ]
