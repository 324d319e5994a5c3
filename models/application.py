"""A Nylas application: the API key, client id and region that everything else belongs to."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.columns import id_field
from models.sealing import Sealed


class Application(SQLModel, table=True):
    """One Nylas application, as the settings name it. Its `client_id` is Nylas' application id.

    `imported_at` is when all its grants had been read for the first time; what is seen from then on is news.
    """

    id: UUID = id_field()
    client_id: str = Field(max_length=128, unique=True)
    api_uri: str = Field(max_length=255)
    api_key: str = Field(sa_type=Sealed)
    webhook_secret: str | None = Field(default=None, sa_type=Sealed)
    created_at: datetime
    updated_at: datetime
    imported_at: datetime | None = None
