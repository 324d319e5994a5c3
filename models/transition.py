"""The history of grants: one row for each change, with its cause."""

from datetime import datetime
from typing import Self
from uuid import UUID

from sqlmodel import Field

from lifecycle import Change, GrantStatus
from models.columns import id_field, words
from models.row import RowData


class TransitionData(RowData):
    """A transition that is to be written, as data."""

    id: UUID = id_field()
    grant_id: str = Field(foreign_key="grant.id", index=True)
    at: datetime = Field(index=True)
    observed_at: datetime
    old_status: GrantStatus | None = Field(default=None, sa_type=words(GrantStatus))
    new_status: GrantStatus = Field(sa_type=words(GrantStatus))
    blocked: bool = False
    cause: str = Field(max_length=64)
    event_id: UUID | None = Field(default=None, foreign_key="event.id")
    item_id: UUID | None = Field(default=None, foreign_key="campaign_item.id")
    request_id: str | None = Field(default=None, max_length=128)

    @classmethod
    def of(cls, grant_id: str, change: Change, *, at: datetime, cause: str) -> Self:
        """Write a decision down as history."""
        return cls(
            grant_id=grant_id,
            at=at,
            observed_at=change.new.as_of,
            old_status=change.old.status if change.old else None,
            new_status=change.new.status,
            blocked=change.new.blocked,
            cause=cause,
        )


class Transition(TransitionData, table=True):
    """One change of a grant: from what to what, when, by what cause, and Nylas' request id for the look.

    `old_status` is None where the grant became known. `cause` is the kind of the event, or the name of the work
    (`sync`, `reauth.requested`) that brought the look about.
    """
