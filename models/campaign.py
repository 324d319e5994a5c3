"""A campaign: a bulk re-authentication, and the row of each mailbox in it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from lifecycle.campaigning import NO_DEADLINE
from models.claims import Claimable, due_index
from models.columns import id_field, words
from models.sealing import Sealed


class CampaignStatus(StrEnum):
    """Where a campaign is.

    Its items are not all written yet (planned); they are worked on (running), or wait for somebody (paused), or for
    somebody to look after what failed (stopped, by its own rule); all have ended (finished), or were given up
    (cancelled). One that could not be as it was asked for is refused.
    """

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class Way(StrEnum):
    """How a mailbox is authenticated anew: by an organisation's credential, by a secret of its own, or by its user."""

    CREDENTIAL = "credential"
    REFRESH = "refresh_token"
    IMAP = "imap"
    HOSTED = "hosted"


class Campaign(SQLModel, table=True):
    """One bulk re-authentication. `filter` says which grants it was for, `total` how many items that made.

    `rate` is calls a second, below the budget that all share. `max_failures` is when it stops itself: `5%`, or a
    number. A schedule that fired for it stands in `schedule_id`, with the time that this was due in `fired_for`. With
    `ask_users` those whom nothing else can renew are asked to sign in. `reason` says why it is paused,
    stopped, cancelled or refused; `actor` who asked for it. `served_at` is when it had its last turn among those that
    run at the same time.
    """

    __table_args__ = (
        sa.UniqueConstraint("application_id", "idempotency_key"),
        sa.Index("ix_campaign_status", "application_id", "status"),
    )

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    status: CampaignStatus = Field(sa_type=words(CampaignStatus))
    filter: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    total: int = 0
    source: str = Field(default="cli", max_length=16)
    actor: str | None = Field(default=None, max_length=128)
    rate: float | None = None
    max_failures: str | None = Field(default=None, max_length=16)
    ask_users: bool = False
    reason: str | None = None
    idempotency_key: str | None = Field(default=None, max_length=128)
    served_at: datetime | None = None
    paced_until: datetime | None = None
    schedule_id: UUID | None = Field(default=None, foreign_key="schedule.id", index=True)
    fired_for: datetime | None = None


class CampaignItemData(Claimable):
    """An item that is to be written, as data."""

    __tablename__ = "campaign_item"

    campaign_id: UUID = Field(foreign_key="campaign.id")
    grant_id: str | None = Field(default=None, foreign_key="grant.id", index=True)
    way: Way | None = Field(default=None, sa_type=words(Way))
    rank: int = Field(default=NO_DEADLINE, sa_type=sa.BigInteger)
    email: str | None = Field(default=None, max_length=320)
    provider: str | None = Field(default=None, max_length=32)
    credential_id: str | None = Field(default=None, max_length=128)
    line: int | None = None
    secret: str | None = Field(default=None, sa_type=Sealed)
    cause: str | None = Field(default=None, max_length=128)


class CampaignItem(CampaignItemData, table=True):
    """One mailbox in a campaign: a grant that we know, or (`grant_id` is None until then) one that is to be made.

    A grant is in a campaign at most once, and in one open item at most over all of them. `rank` is the order in which
    they are worked on: the unix second at which its 72 hours end, or `NO_DEADLINE`. `line` is the item's line in the
    list that was given; `secret` the sealed JSON of its own settings there, wiped when the item ends. `cause` is what
    failures are counted by.
    """

    __table_args__ = (
        due_index("campaign_item"),
        sa.UniqueConstraint("campaign_id", "grant_id"),
        sa.UniqueConstraint("campaign_id", "line"),
        sa.Index(
            "ix_campaign_item_next",
            "campaign_id",
            "rank",
            "id",
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        ),
        sa.Index("ix_campaign_item_ended", "campaign_id", "outcome", "cause"),
        sa.Index(
            "ix_campaign_item_settled_at",
            "campaign_id",
            "settled_at",
            sqlite_where=sa.text("settled_at IS NOT NULL"),
            postgresql_where=sa.text("settled_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_campaign_item_secret",
            "settled_at",
            sqlite_where=sa.text("secret IS NOT NULL"),
            postgresql_where=sa.text("secret IS NOT NULL"),
        ),
        sa.Index(
            "uq_campaign_item_open",
            "grant_id",
            unique=True,
            sqlite_where=sa.text("settled_at IS NULL AND grant_id IS NOT NULL"),
            postgresql_where=sa.text("settled_at IS NULL AND grant_id IS NOT NULL"),
        ),
    )
