"""A grant: a user's standing permission, as far as we know it."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from lifecycle import Change, GrantStatus, Standing
from models.columns import words

_version = sa.Column("version", sa.Integer, nullable=False)


class Grant(SQLModel, table=True):
    """A Nylas grant. `id` is Nylas' own; `as_of` is the moment of the look that `status` rests on.

    `authenticated_at` is Nylas' `updated_at`, the last authentication; `expired_at` is when it stopped working, as
    far as it is known. Only `follow` changes the status. `version` guards each write (compare and set): two
    writers that read the same row can't both have their way, the second one gets StaleDataError.
    """

    __table_args__ = (sa.Index("ix_grant_status", "application_id", "status", "provider"),)

    __mapper_args__: ClassVar[dict[str, Any]] = {"version_id_col": _version}

    id: str = Field(primary_key=True, max_length=128)
    application_id: UUID = Field(foreign_key="application.id")
    provider: str = Field(max_length=32)
    email: str | None = Field(default=None, max_length=320, index=True)
    name: str | None = None
    provider_user_id: str | None = Field(default=None, max_length=255)
    scope: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    credential_id: str | None = Field(default=None, max_length=128)
    status: GrantStatus = Field(sa_type=words(GrantStatus))
    blocked: bool = False
    as_of: datetime
    created_at: datetime | None = None
    authenticated_at: datetime | None = None
    expired_at: datetime | None = None
    first_seen_at: datetime
    version: int = Field(default=None, sa_column=_version)

    @property
    def standing(self) -> Standing:
        """What the rules need to know of this row."""
        return Standing(self.status, self.blocked, self.as_of)

    def follow(self, change: Change) -> None:
        """Move on as the rules have decided."""
        self.status, self.blocked, self.as_of = change.new.status, change.new.blocked, change.new.as_of
