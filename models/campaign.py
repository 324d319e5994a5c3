"""A campaign: a bulk re-authentication, and the row of each grant in it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.claims import Claimable, due_index
from models.columns import id_field, words


class CampaignStatus(StrEnum):
    """Where a campaign is: its items are not all written yet, they are being worked on, all have ended."""

    PLANNED = "planned"
    RUNNING = "running"
    FINISHED = "finished"


class Campaign(SQLModel, table=True):
    """One bulk re-authentication. `filter` says which grants it was for, `total` how many items that made."""

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    status: CampaignStatus = Field(sa_type=words(CampaignStatus))
    filter: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    total: int = 0


class CampaignItem(Claimable, table=True):
    """One grant in a campaign. A grant is in a campaign at most once."""

    __tablename__ = "campaign_item"
    __table_args__ = (
        due_index("campaign_item"),
        sa.UniqueConstraint("campaign_id", "grant_id"),
    )

    campaign_id: UUID = Field(foreign_key="campaign.id")
    grant_id: str = Field(foreign_key="grant.id", index=True)
