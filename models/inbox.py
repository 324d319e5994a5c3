"""Writing into the inbox: each event once, however often we are told."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from models.event import LONGEST_KEY, Event, EventData
from models.inserting import insert_new


async def receive(session: AsyncSession, events: Sequence[EventData]) -> set[UUID]:
    """Store those of the events that are new by their `key`; return their ids."""
    in_order = sorted(events, key=lambda event: event.key)
    return set(await insert_new(session, Event, [event.columns() for event in in_order]))


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
