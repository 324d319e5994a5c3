"""Writing into the inbox: each event once, however often we are told."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from models.event import LONGEST_KEY, Event, EventData
from models.row import table_of


def insert_or_ignore(session: AsyncSession, model: type[SQLModel], *, returning: str | None = None) -> Any:
    """An INSERT that leaves a row that is there already as it is (the same statement on both databases).

    Of the new rows it returns one column, if wanted.
    """
    return _insert_or_ignore(session.get_bind().dialect.name, table_of(model), returning)


@cache
def _insert_or_ignore(dialect: str, table: Table, returning: str | None) -> Any:
    """Made once: see models.bulk."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    new = insert(table).on_conflict_do_nothing()
    return new.returning(table.c[returning]) if returning else new


async def receive(session: AsyncSession, events: Sequence[EventData]) -> set[UUID]:
    """Store those of the events that are new by their `key`; return their ids."""
    if not events:
        return set()
    stored = insert_or_ignore(session, Event, returning="id")
    result = await session.execute(stored, [event.columns() for event in sorted(events, key=lambda event: event.key)])
    return set(result.scalars().all())


def event_key(*parts: str) -> str:
    """Make the key of an event of our own; one that would be too long for its column ends in a digest (SHA-256)."""
    key = ":".join(parts)
    return key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 65]}:{sha256(key.encode()).hexdigest()}"


def told(
    kind: str,
    key: str,
    *,
    application_id: UUID,
    source: str,
    now: datetime,
    raw: bytes = b"{}",
    grant_id: str | None = None,
    occurred_at: datetime | None = None,
) -> EventData:
    """Make the row of something that we were told just now, and that is due at once."""
    return EventData(
        application_id=application_id,
        kind=kind,
        key=key,
        source=source,
        grant_id=grant_id,
        raw=raw,
        occurred_at=occurred_at,
        received_at=now,
        due_at=now,
    )
