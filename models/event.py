"""The inbox: each thing that we were told, once."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from models.claims import Claimable, due_index

LONGEST_KEY = 96


class EventData(Claimable):
    """An event that is to be written, as data."""

    application_id: UUID = Field(foreign_key="application.id")
    kind: str = Field(max_length=64)
    key: str = Field(max_length=LONGEST_KEY, unique=True)
    source: str = Field(max_length=16)
    grant_id: str | None = Field(default=None, max_length=128, index=True)
    raw: bytes
    occurred_at: datetime | None = None
    received_at: datetime


class Event(EventData, table=True):
    """Something that we were told: a webhook, a returned sign-in, a request by an admin or the schedule.

    `kind` is Nylas' trigger type, or ours in the same grammar, and the name of the task that deals with it. `key`
    is what makes it the same event: unique, so that a second telling adds nothing. `raw` is the body as it came.
    """

    __table_args__ = (due_index("event"),)
