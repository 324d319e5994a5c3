"""A schedule: what is to be asked for again and again, and when it is due next."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.columns import id_field


class Schedule(SQLModel, table=True):
    """Something that is asked for at the times of a cron expression (five fields), in an IANA time zone.

    `kind` is the event that a firing writes, `payload` what it asks for: the request of a campaign. `next_at` is when
    it is due next; `fired_at` when it fired last, and `fired_for` which due time that was for. A removed one stays,
    for what it has started.
    """

    __table_args__ = (
        sa.Index(
            "uq_schedule_name",
            "application_id",
            "name",
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        ),
        sa.Index(
            "ix_schedule_due",
            "next_at",
            sqlite_where=sa.text("removed_at IS NULL AND paused_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL AND paused_at IS NULL"),
        ),
    )

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    name: str = Field(max_length=64)
    kind: str = Field(max_length=64)
    cron: str = Field(max_length=128)
    zone: str = Field(default="UTC", max_length=64)
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    actor: str | None = Field(default=None, max_length=128)
    created_at: datetime
    next_at: datetime
    fired_at: datetime | None = None
    fired_for: datetime | None = None
    paused_at: datetime | None = None
    removed_at: datetime | None = None
