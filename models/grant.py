"""A grant: a user's standing permission, as far as we know it."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from lifecycle import Change, GrantStatus, Spell, Standing
from models.columns import words
from models.row import RowData

_version = sa.Column("version", sa.Integer, nullable=False)


class GrantData(RowData):
    """A grant as data: one that is to be written, or was read to be changed (`models.bulk`)."""

    id: str = Field(primary_key=True, max_length=128)
    application_id: UUID = Field(foreign_key="application.id")
    provider: str = Field(max_length=32)
    email: str | None = Field(default=None, max_length=320)
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
    expiry_seen_at: datetime | None = None
    confirm_at: datetime | None = None
    confirmed_at: datetime | None = None
    recovered_at: datetime | None = None
    flaps: int = 0
    notices: int = 0
    quarantined: str | None = None
    zone: str | None = Field(default=None, max_length=64)
    contact: str | None = Field(default=None, max_length=320)
    first_seen_at: datetime
    version: int = Field(default=None, sa_column=_version)

    @property
    def spell(self) -> Spell | None:
        """The spell that it is in, if it is."""
        if self.expired_at is None or self.expiry_seen_at is None or self.confirm_at is None:
            return None
        return Spell(self.expired_at, self.expiry_seen_at, self.confirm_at, self.confirmed_at)

    @property
    def standing(self) -> Standing:
        """What the rules need to know of this row."""
        return Standing(self.status, self.blocked, self.as_of)

    def take(self, spell: Spell | None) -> None:
        """Write a spell down, or its end."""
        if spell != self.spell:
            self.expired_at = spell.expired_at if spell else None
            self.expiry_seen_at = spell.seen_at if spell else None
            self.confirm_at = spell.confirm_at if spell else None
            self.confirmed_at = spell.confirmed_at if spell else None

    def follow(self, change: Change) -> None:
        """Move on as the rules have decided."""
        self.status, self.blocked, self.as_of = change.new.status, change.new.blocked, change.new.as_of


class Grant(GrantData, table=True):
    """A Nylas grant. `id` is Nylas' own; `as_of` is the moment of the look that `status` rests on.

    `authenticated_at` is Nylas' `updated_at`, the last authentication; `expired_at` is when it stopped working, as
    far as it is known; what else belongs to a `Spell` stands beside it. `flaps` counts how often the grant came and
    went without a calm day between. `quarantined` says why an account that came back is not taken for the grant that
    was wanted. `zone` is where its user's quiet hours are, `contact` where the user can be told: never the mailbox
    itself. `notices` numbers the notices about it. Only `follow` changes the status. `version` guards each write
    (compare and set): two writers that read the same row can't both have their way, the second one gets StaleDataError.
    """

    __table_args__ = (
        sa.Index("ix_grant_status", "application_id", "status", "provider"),
        sa.Index("ix_grant_page", "application_id", "status", "id"),
        sa.Index("ix_grant_email_lower", sa.text("lower(email)")),
        sa.Index(
            "ix_grant_expiry_seen_at",
            "expiry_seen_at",
            sqlite_where=sa.text("expiry_seen_at IS NOT NULL"),
            postgresql_where=sa.text("expiry_seen_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_grant_credential_id",
            "credential_id",
            sqlite_where=sa.text("credential_id IS NOT NULL"),
            postgresql_where=sa.text("credential_id IS NOT NULL"),
        ),
    )

    __mapper_args__: ClassVar[dict[str, Any]] = {"version_id_col": _version}
