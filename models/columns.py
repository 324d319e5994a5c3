"""The kinds of column that several tables share."""

from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

# Each constraint has a name, so that a later migration can drop it on SQLite and PostgreSQL alike.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> UUID:
    """Make an id that sorts by the time it was made (UUID version 7, RFC 9562)."""
    return uuid7()


def id_field() -> Any:
    """A primary key made by us."""
    return Field(default_factory=new_id, primary_key=True)


def words(enum: type[StrEnum], *, length: int = 16) -> Any:
    """A column of one enum's values, kept as plain text: a new word needs no ALTER TYPE."""
    return sa.Enum(enum, native_enum=False, length=length, values_callable=lambda e: [word.value for word in e])
