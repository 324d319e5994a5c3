"""A re-authentication link: the capability to renew one grant, once."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.columns import id_field


class ReauthLink(SQLModel, table=True):
    """A link that was given out for one grant. The token itself is not kept: it is a signature over `id`.

    It may be opened often, and is spent only by the success of a sign-in.
    """

    __tablename__ = "reauth_link"

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    grant_id: str = Field(foreign_key="grant.id", index=True)
    created_at: datetime
    created_by: str = Field(max_length=64)
    expires_at: datetime
    opened_at: datetime | None = None
    spent_at: datetime | None = None
    revoked_at: datetime | None = None
