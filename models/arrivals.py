"""Notifications on their way into the inbox: many of them by one statement whose text is always the same."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import registry

from models.claims import Outcome
from models.columns import new_id
from models.database import Database
from models.event import Event
from models.row import table_of

MOST_AT_ONCE, MOST_BYTES_AT_ONCE = 500, 32 * 1024 * 1024
"""Arrivals that are written or read at once, and the bytes of their bodies that are enough."""


@dataclass(slots=True)
class Arrival:
    """An event that has just come, at a tenth of the cost of an `EventData`.

    Whoever stores it rings for it at once, so `rung_at` is when it came: a sweep that rang for it a moment later would
    write each row of a flood a second time, and ring twice.
    """

    application_id: UUID
    kind: str
    key: str
    source: str
    raw: bytes
    received_at: datetime
    grant_id: str | None = None
    occurred_at: datetime | None = None
    settled_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    id: UUID = field(default_factory=new_id)
    due_at: datetime = field(init=False)
    rung_at: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        """It is due at once."""
        self.due_at = self.rung_at = self.received_at

    def close(self, outcome: Outcome, reason: str) -> None:
        """Say how it ended, which it did as it came."""
        self.rung_at, self.settled_at, self.outcome, self.reason = None, self.received_at, outcome, reason


EVENTS = table_of(Event)
NAMES = tuple(each.name for each in fields(Arrival))
IN_JSON = tuple(name for name in NAMES if name != "raw")
_values = attrgetter(*NAMES)
_key = attrgetter("key")


async def store_arrivals(database: Database, take: Callable[[], Iterable[Arrival]]) -> set[UUID]:
    """Store those that are new by their `key`, and commit; return their ids.

    They are taken when all is ready for them, so that who comes meanwhile comes along: on SQLite, where one waits for
    whoever writes, else the next transaction would be theirs, and they would wait for two.
    It does what `receive` does, past SQLAlchemy's compiler: the text of the statement does not depend on how many rows
    there are, so it is prepared once for each connection.
    """
    return await (_into_sqlite if database.is_sqlite else _into_postgresql)(database, take)


async def _into_postgresql(database: Database, take: Callable[[], Iterable[Arrival]]) -> set[UUID]:
    """The statement is a transaction of its own, which spares two round trips."""
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        arrivals = _in_order(take())
        rows = json.dumps([as_json(arrival) for arrival in arrivals])
        stored = await connection.exec_driver_sql(FROM_JSON, (rows, [arrival.raw for arrival in arrivals]))
        return set(stored.scalars())


def _in_order(arrivals: Iterable[Arrival]) -> Sequence[Arrival]:
    """Two who store the same never wait for each other in a ring."""
    return sorted(arrivals, key=_key)


def as_json(arrival: Arrival) -> dict[str, str | None]:
    """All but the body, which stays bytes: an array for each column would cost four times as much."""
    return {
        "application_id": str(arrival.application_id),
        "kind": arrival.kind,
        "key": arrival.key,
        "source": arrival.source,
        "received_at": (came := arrival.received_at.isoformat()),
        "grant_id": arrival.grant_id,
        "occurred_at": arrival.occurred_at.isoformat() if arrival.occurred_at else None,
        "settled_at": arrival.settled_at.isoformat() if arrival.settled_at else None,
        "outcome": arrival.outcome,
        "reason": arrival.reason,
        "id": arrival.id.hex,
        "due_at": came,
        "rung_at": came if arrival.rung_at else None,
    }


def from_json(told: dict[str, Any], raw: bytes) -> Arrival:
    """Make of it again what `as_json` was given. What this version does not know of is left out."""
    arrival = Arrival(
        application_id=UUID(told["application_id"]),
        kind=told["kind"],
        key=told["key"],
        source=told["source"],
        raw=raw,
        received_at=datetime.fromisoformat(told["received_at"]),
        grant_id=told["grant_id"],
        occurred_at=datetime.fromisoformat(told["occurred_at"]) if told["occurred_at"] else None,
        id=UUID(told["id"]),
    )
    if told["outcome"]:
        arrival.close(Outcome(told["outcome"]), told["reason"])
    return arrival


async def _into_sqlite(database: Database, take: Callable[[], Iterable[Arrival]]) -> set[UUID]:
    async with database.writing() as session:
        connection = await session.connection()
        arrivals = _in_order(take())
        columns = zip(*map(_values, arrivals), strict=True)
        rows = list(zip(*(map(to, column) for to, column in zip(_for_sqlite(), columns, strict=True)), strict=True))
        stored = await connection.exec_driver_sql(FROM_ROWS, rows)
        ids = {arrival.id for arrival in arrivals}
        if stored.rowcount == len(arrivals):
            return ids
        return set(await session.scalars(sa.select(EVENTS.c.id).where(EVENTS.c.id.in_(ids))))


@cache
def _for_sqlite() -> list[Callable[[Any], Any]]:
    """How each column's values are written; a moment is often the same, and takes 2 µs to write."""
    dialect = registry.load("sqlite.aiosqlite")()
    to = [EVENTS.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in NAMES]
    moment = lru_cache(1024)(to[NAMES.index("received_at")] or _as_it_is)
    return [moment if name.endswith("_at") else each or _as_it_is for name, each in zip(NAMES, to, strict=True)]


def _as_it_is(value: Any) -> Any:
    return value


def _typed(name: str) -> str:
    """A column of the JSON. Without the length of its type: that would cut off what is longer, and not refuse it."""
    return f"{name} {EVENTS.c[name].type.compile(registry.load('postgresql.asyncpg')()).partition('(')[0]}"


INTO = f"INSERT INTO event ({', '.join(NAMES)}, attempts, crashes)"
ONCE = "ON CONFLICT DO NOTHING"
FROM_ROWS = f"{INTO} VALUES ({', '.join('?' for _ in NAMES)}, 0, 0) {ONCE}"
OBJECTS = f"json_to_recordset($1::json) AS ({', '.join(map(_typed, IN_JSON))})"
ARRIVED = f"ROWS FROM ({OBJECTS}, unnest($2::bytea[])) AS arrived ({', '.join((*IN_JSON, 'raw'))})"
FROM_JSON = " ".join((INTO, "SELECT", ", ".join(NAMES), ", 0, 0 FROM", ARRIVED, ONCE, "RETURNING id"))
