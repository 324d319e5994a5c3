"""A retirement: dead grants that an admin has agreed to delete at Nylas, for good."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.claims import Claimable, due_index
from models.columns import id_field, words


class RetirementStatus(StrEnum):
    """Where a plan is: shown, agreed to, all of it done, or dropped."""

    PLANNED = "planned"
    APPROVED = "approved"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Retirement(SQLModel, table=True):
    """One plan. Nothing of it happens before `approved_at`."""

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    status: RetirementStatus = Field(sa_type=words(RetirementStatus))
    policy: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    total: int = 0
    created_at: datetime
    approved_at: datetime | None = None
    approved_by: str | None = Field(default=None, max_length=64)
    finished_at: datetime | None = None


class RetirementItem(Claimable, table=True):
    """One grant in a plan. `sent_at` is committed before the deletion is sent: from then on Nylas is read first."""

    __tablename__ = "retirement_item"
    __table_args__ = (due_index("retirement_item"), sa.UniqueConstraint("retirement_id", "grant_id"))

    retirement_id: UUID = Field(foreign_key="retirement.id")
    grant_id: str = Field(foreign_key="grant.id", index=True)
    sent_at: datetime | None = None
