"""What the API tells of grants, incidents, notices and events."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from ingress.story.line import Line, What
from ingress.story.notices import shown
from lifecycle import GrantStatus
from lifecycle.backfill import backfill_until
from lifecycle.incidents import Scope
from models import Delivery, Endpoint, Event, Grant, HeldBy, Incident, Notice, NoticeKind, Outcome


class GrantShape(BaseModel):
    """A grant, as far as we know it."""

    grant_id: str = Field(description="Nylas' own id.")
    email: str | None
    name: str | None
    provider: str
    status: GrantStatus
    blocked: bool = Field(description="Nylas has blocked it.")
    as_of: datetime = Field(description="When we looked at Nylas last.")
    created_at: datetime | None
    authenticated_at: datetime | None = Field(description="When its user, or its credential, authenticated last.")
    expired_at: datetime | None = Field(description="Since when it does not work.")
    backfill_until: datetime | None = Field(description="Renewed by then, Nylas sends all that was missed.")
    confirmed_at: datetime | None = Field(description="When a second look confirmed that it does not work.")
    credential_id: str | None
    scope: list[str]
    quarantined: str | None = Field(description="Why the account is not taken for the grant that was wanted.")
    contact: str | None = Field(description="Where its user can be told; never the mailbox itself.")
    zone: str | None = Field(description="Where its user's quiet hours are: an IANA time zone.")

    @classmethod
    def of(cls, grant: Grant) -> Self:
        """Tell of a row."""
        told = {name: getattr(grant, name) for name in cls.model_fields if hasattr(grant, name)}
        until = backfill_until(grant.expired_at) if grant.expired_at else None
        return cls(grant_id=grant.id, backfill_until=until, **told)


class LineShape(BaseModel):
    """One thing that happened to a grant."""

    at: datetime
    kind: What
    actor: str = Field(description="Who did it: Nylas, its user, the product, an admin, the schedule, Evergrant.")
    what: str = Field(description="What happened and why, in plain words.")
    before: str | None = Field(description="The status before a change; null where the grant became known.")
    after: str | None = Field(description="The status after a change.")
    request_id: str | None = Field(description="Nylas' request id.")

    @classmethod
    def of(cls, line: Line) -> Self:
        """Tell of a line of the story."""
        return cls.model_validate(line, from_attributes=True)


class Timeline(BaseModel):
    """The whole story of a grant, oldest first."""

    grant: GrantShape
    data: list[LineShape]


class IncidentShape(BaseModel):
    """Many grants that fail for one cause, or something that stops all work alike."""

    incident_id: UUID
    scope: Scope
    subject: str = Field(description="The credential, the provider, the application, or what the brake stopped.")
    what: str
    grants: int = Field(description="How many grants had failed when it was opened.")
    canary: str | None = Field(description="The grant that is looked at to see whether it is over.")
    opened_at: datetime
    probed_at: datetime | None
    closed_at: datetime | None
    reason: str | None = Field(description="Why it was closed.")
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, incident: Incident) -> Self:
        """Tell of a row."""
        told = {name: getattr(incident, name) for name in cls.model_fields if hasattr(incident, name)}
        return cls(incident_id=incident.id, closed_at=incident.settled_at, **told)


class DeliveryShape(BaseModel):
    """A notice on its way to one endpoint."""

    endpoint: str
    attempts: int
    http_status: int | None = Field(description="What the endpoint answered last.")
    due_at: datetime
    settled_at: datetime | None
    outcome: Outcome | None = Field(description="Null while it is on its way.")
    reason: str | None

    @classmethod
    def of(cls, delivery: Delivery, endpoint: Endpoint) -> Self:
        """Tell of a row."""
        told = {name: getattr(delivery, name) for name in cls.model_fields if hasattr(delivery, name)}
        return cls(endpoint=shown(endpoint), **told)


class NoticeShape(BaseModel):
    """One fact that the product is to be told, or why it was not."""

    notice_id: UUID
    kind: NoticeKind
    grant_id: str | None
    incident_id: UUID | None
    campaign_id: UUID | None
    number: int = Field(description="Which reminder it is; the first is 0.")
    occurred_at: datetime
    created_at: datetime
    due_at: datetime
    held_by: HeldBy | None = Field(description="Why it may not go yet, although it is due.")
    settled_at: datetime | None
    outcome: Outcome | None = Field(description="`done`: sent on its way; `skipped`: not sent; null: still to come.")
    reason: str | None
    deliveries: list[DeliveryShape]

    @classmethod
    def of(cls, notice: Notice, deliveries: Iterable[tuple[Delivery, Endpoint]]) -> Self:
        """Tell of a row. Its data are left out: they may hold a link, which is for the grant's user alone."""
        told = {name: getattr(notice, name) for name in cls.model_fields if hasattr(notice, name)}
        return cls(notice_id=notice.id, deliveries=[DeliveryShape.of(*sent) for sent in deliveries], **told)


class EventShape(BaseModel):
    """Something that we were told, and what came of it."""

    event_id: UUID
    kind: str
    source: str
    grant_id: str | None
    occurred_at: datetime | None
    received_at: datetime
    due_at: datetime
    attempts: int
    settled_at: datetime | None
    outcome: Outcome | None = Field(description="Null while it is to be dealt with.")
    reason: str | None
    request_id: str | None = Field(description="Nylas' request id.")

    @classmethod
    def of(cls, event: Event) -> Self:
        """Tell of a row."""
        told = {name: getattr(event, name) for name in cls.model_fields if hasattr(event, name)}
        return cls(event_id=event.id, **told)
