"""What the product is told: a notice for each fact, and its delivery to each endpoint."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from models.claims import Claimable, due_index
from models.columns import id_field, words
from models.row import RowData
from models.sealing import Sealed


class NoticeKind(StrEnum):
    """What is told of. The operator's own are those that concern no single grant, and `grant.unattended`."""

    VALID = "grant.valid"
    EXPIRED = "grant.expired"
    REAUTH_REQUIRED = "grant.reauth_required"
    RECOVERED = "grant.recovered"
    GAP = "grant.gap"
    DELETED = "grant.deleted"
    UNATTENDED = "grant.unattended"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_CLOSED = "incident.closed"
    CAMPAIGN_FINISHED = "campaign.finished"
    TEST = "evergrant.test"


MOOT = (NoticeKind.EXPIRED, NoticeKind.REAUTH_REQUIRED, NoticeKind.UNATTENDED)
"""What a recovery, or a deletion, makes pointless."""


PLANNED = (NoticeKind.REAUTH_REQUIRED, NoticeKind.UNATTENDED)
"""What may be planned for days ahead: what comes later need not wait for it before it is due."""


class HeldBy(StrEnum):
    """Why a notice may not go yet, although it is due."""

    CONFIRMATION = "confirmation"
    INCIDENT = "incident"
    BRAKE = "brake"
    QUARANTINE = "quarantine"


class EndpointData(RowData):
    """An endpoint that was read, as data."""

    __tablename__ = "endpoint"

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    url: str = Field(max_length=2048)
    secret: str = Field(sa_type=Sealed)
    kinds: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    source: str = Field(max_length=16)
    created_at: datetime
    removed_at: datetime | None = None
    failing_since: datetime | None = None
    rests_until: datetime | None = None
    last_error: str | None = None


class Endpoint(EndpointData, table=True):
    """Where notices go: a URL of the product, with a secret of its own. No kinds means all of them.

    While it fails (`failing_since`) nothing is sent before `rests_until`, and then one delivery first.
    """


class NoticeData(Claimable):
    """A notice that is to be written, as data."""

    application_id: UUID = Field(foreign_key="application.id")
    kind: NoticeKind = Field(sa_type=words(NoticeKind, length=32))
    grant_id: str | None = Field(default=None, foreign_key="grant.id")
    incident_id: UUID | None = Field(default=None, foreign_key="incident.id")
    campaign_id: UUID | None = Field(default=None, foreign_key="campaign.id")
    transition_id: UUID | None = Field(default=None, foreign_key="transition.id")
    seq: int = 0
    number: int = 0
    data: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    occurred_at: datetime
    created_at: datetime
    held_by: HeldBy | None = Field(default=None, sa_type=words(HeldBy))


class Notice(NoticeData, table=True):
    """One fact that the product is to be told, or why it was not.

    It is written in the transaction of the change that it tells of. When it is due and nothing holds it, it is
    fanned out to the endpoints: then it is `done`. Of a kind, a grant has at most one notice that is open. `seq`
    numbers the notices of a grant: they are delivered in that order. `number` counts reminders.
    """

    __table_args__ = (
        due_index("notice", unless="held_by"),
        sa.Index("ix_notice_grant", "grant_id", "seq"),
        sa.Index(
            "ix_notice_incident_id",
            "incident_id",
            sqlite_where=sa.text("incident_id IS NOT NULL"),
            postgresql_where=sa.text("incident_id IS NOT NULL"),
        ),
        sa.Index(
            "ix_notice_settled_at",
            "settled_at",
            sqlite_where=sa.text("settled_at IS NOT NULL"),
            postgresql_where=sa.text("settled_at IS NOT NULL"),
        ),
        sa.Index(
            "uq_notice_open",
            "grant_id",
            "kind",
            unique=True,
            sqlite_where=sa.text("settled_at IS NULL AND grant_id IS NOT NULL"),
            postgresql_where=sa.text("settled_at IS NULL AND grant_id IS NOT NULL"),
        ),
    )


class DeliveryData(Claimable):
    """A delivery that is to be written, as data."""

    notice_id: UUID = Field(foreign_key="notice.id")
    endpoint_id: UUID = Field(foreign_key="endpoint.id")
    grant_id: str | None = Field(default=None, max_length=128)
    seq: int = 0
    since: datetime | None = None
    http_status: int | None = None


class Delivery(DeliveryData, table=True):
    """A notice on its way to one endpoint, at least once; set aside after three days of trying, from `since` on."""

    __table_args__ = (
        due_index("delivery"),
        sa.UniqueConstraint("notice_id", "endpoint_id"),
        sa.Index(
            "ix_delivery_order",
            "endpoint_id",
            "grant_id",
            "seq",
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        ),
    )
