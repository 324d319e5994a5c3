"""A hosted sign-in on its way: from the first redirect to the code exchange."""

import hashlib
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.columns import id_field, words
from models.sealing import Sealed

# How the reasons begin that the user is told of in a page of their own.
DECLINED = "declined"
ANOTHER_ACCOUNT = "another account was chosen, and Nylas refused it"
REVOKED = "the link was revoked"


class AuthSessionStatus(StrEnum):
    """Where a sign-in is.

    `exchanging` is committed before the code goes to Nylas: a code works once, so a session found in that state was
    tried, and is resolved by reading Nylas, never by another exchange.
    """

    STARTED = "started"
    RETURNED = "returned"
    EXCHANGING = "exchanging"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"


class AuthSession(SQLModel, table=True):
    """One sign-in; `wanted_grant_id` is the grant that it is to renew, if any, and `wanted_user_id` whose it was then.

    Its `state` is kept as a hash and works once; `browser_hash` binds it to a cookie (RFC 6749 10.12). The PKCE
    verifier and the code are sealed, and wiped when the session ends.
    """

    __tablename__ = "auth_session"
    __table_args__ = (
        sa.Index(
            "ix_auth_session_grant_id",
            "grant_id",
            sqlite_where=sa.text("grant_id IS NOT NULL"),
            postgresql_where=sa.text("grant_id IS NOT NULL"),
        ),
        sa.Index(
            "ix_auth_session_wanted_grant_id",
            "wanted_grant_id",
            sqlite_where=sa.text("wanted_grant_id IS NOT NULL"),
            postgresql_where=sa.text("wanted_grant_id IS NOT NULL"),
        ),
    )

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    status: AuthSessionStatus = Field(sa_type=words(AuthSessionStatus))
    provider: str = Field(max_length=32)
    state_hash: str = Field(max_length=64, unique=True)
    browser_hash: str = Field(max_length=64)
    redirect_uri: str = Field(sa_type=sa.Text)
    login_hint: str | None = Field(default=None, max_length=320)
    code_verifier: str | None = Field(default=None, sa_type=Sealed)
    code: str | None = Field(default=None, sa_type=Sealed)
    created_at: datetime
    expires_at: datetime
    returned_at: datetime | None = None
    exchange_started_at: datetime | None = None
    ended_at: datetime | None = None
    grant_id: str | None = Field(default=None, max_length=128)
    wanted_grant_id: str | None = Field(default=None, max_length=128)
    wanted_user_id: str | None = Field(default=None, max_length=255)
    link_id: UUID | None = Field(default=None, foreign_key="reauth_link.id")
    reason: str | None = None


def digest(secret: str) -> str:
    """Hash a random token for keeping: who reads the table can't use what it was made from."""
    return hashlib.sha256(secret.encode()).hexdigest()
