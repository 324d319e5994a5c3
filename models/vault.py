"""The vault: what mailboxes are authenticated anew by, sealed, where no credential of an organisation is."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from models.campaign import Way
from models.columns import id_field, words
from models.sealing import Sealed


class VaultSecret(SQLModel, table=True):
    """The sealed settings (JSON) of one mailbox, by its address in lower case and its provider.

    `way` says what they are: a refresh token, or an IMAP account.
    """

    __tablename__ = "vault_secret"
    __table_args__ = (sa.UniqueConstraint("application_id", "provider", "email"),)

    id: UUID = id_field()
    application_id: UUID = Field(foreign_key="application.id")
    provider: str = Field(max_length=32)
    email: str = Field(max_length=320)
    way: Way = Field(sa_type=words(Way))
    secret: str = Field(sa_type=Sealed)
    created_at: datetime
    used_at: datetime | None = None
