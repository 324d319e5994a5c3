"""Rows that are put into the database as they are, also from the data that the product writes them from."""

from sqlmodel import SQLModel

from models import Event, EventData


def as_row(row: SQLModel) -> SQLModel:
    """The row itself, or the one that the data of an event make."""
    return Event(**row.model_dump()) if type(row) is EventData else row
