"""What we know of the application's connectors: which scopes each of them wants."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.columns import id_field


class KnownConnector(SQLModel, table=True):
    """A connector as it was when we last looked; one for each provider."""

    __tablename__ = "connector"
    __table_args__ = (sa.UniqueConstraint("application_id", "provider"),)

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    provider: str = Field(max_length=32)
    scope: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    active_credential_id: str | None = Field(default=None, max_length=128)
    seen_at: datetime
