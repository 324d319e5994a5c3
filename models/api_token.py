"""A bearer token of our own API: kept as a hash, good for what its scopes name."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.columns import id_field


class ApiToken(SQLModel, table=True):
    """One token. Who reads the table can't use it (`models.auth_session.digest`)."""

    __tablename__ = "api_token"

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    name: str = Field(max_length=64)
    token_hash: str = Field(max_length=64, unique=True)
    scopes: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
