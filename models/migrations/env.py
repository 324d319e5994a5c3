"""What Alembic runs for each command, on the connection that it is handed."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

import models
from models.sealing import Sealed


def plain_type(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write a column's type in SQLAlchemy's own words, so that old migrations never import today's models."""
    match item if kind == "type" else None:
        case AutoString(length=length):
            return f"sa.String(length={length})" if length else "sa.String()"
        case UTCDateTime():
            return "sa.DateTime(timezone=True)"
        case Sealed():
            return "sa.Text()"
        case _:
            return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
    render_item=plain_type,
)
assert models.Event.metadata is SQLModel.metadata
assert isinstance(connection, sa.Connection)
with context.begin_transaction():
    context.run_migrations()
