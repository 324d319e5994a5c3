"""The table that all peers share."""

from sqlmodel import Field, SQLModel

RENEWED = "valid"


class PeerGrant(SQLModel, table=True):
    """A grant, as far as a peer needs to know it."""

    __tablename__ = "peer_grant"

    id: str = Field(primary_key=True)
    email: str
    status: str
