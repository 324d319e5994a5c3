"""A tag: a word of the operator's own that a grant can be chosen by."""

from sqlmodel import Field, SQLModel


class GrantTag(SQLModel, table=True):
    """One tag of one grant."""

    __tablename__ = "grant_tag"

    grant_id: str = Field(primary_key=True, foreign_key="grant.id", max_length=128)
    tag: str = Field(primary_key=True, max_length=64, index=True)
