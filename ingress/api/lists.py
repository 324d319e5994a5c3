"""The API's lists of incidents, notices and events, newest first."""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.api.grants import Reader
from ingress.api.paging import Page, PageQuery, Text, page
from ingress.api.reach import Reached
from ingress.api.shapes import EventShape, IncidentShape, NoticeShape
from models import Delivery, Endpoint, Event, Incident, Notice, NoticeKind, Outcome
from models.claims import Claimable

router = APIRouter(dependencies=[Reader])

Row = TypeVar("Row", bound=Claimable)


class State(StrEnum):
    """Whether something is still going on."""

    OPEN = "open"
    CLOSED = "closed"


class IncidentQuery(PageQuery):
    """Which incidents are wanted."""

    state: State | None = None


class NoticeQuery(PageQuery):
    """Which notices are wanted."""

    grant_id: Text | None = None
    incident_id: UUID | None = None
    kind: NoticeKind | None = None
    state: Annotated[State | None, Field(description="`open`: still to be sent.")] = None
    outcome: Annotated[Outcome | None, Field(description="How it ended: `done` or `skipped`.")] = None


class EventQuery(PageQuery):
    """Which events are wanted."""

    grant_id: Text | None = None
    kind: Annotated[Text | None, Field(description="`grant.expired`, `grant.reported`, …")] = None
    state: Annotated[State | None, Field(description="`open`: still to be dealt with.")] = None
    outcome: Annotated[Outcome | None, Field(description="`set_aside` and `failed` are for a human.")] = None


@router.get("/incidents", tags=["incidents"])
async def list_incidents(front: Reached, query: Annotated[IncidentQuery, Query()]) -> Page[IncidentShape]:
    """List incidents, the newest first."""
    wanted = _in_state(select(Incident), Incident, query.state)
    wanted = wanted.where(col(Incident.application_id) == front.application_id)
    async with front.context.database.reading() as session:
        found = await _newest(session, wanted, Incident, query)
    return page(found, query.limit, IncidentShape.of, lambda incident: incident.id)


@router.get("/notices", tags=["notices"])
async def list_notices(front: Reached, query: Annotated[NoticeQuery, Query()]) -> Page[NoticeShape]:
    """List notices, the newest first: sent, still to be sent, or not sent and why."""
    wanted = _in_state(select(Notice), Notice, query.state)
    wanted = wanted.where(col(Notice.application_id) == front.application_id)
    if query.grant_id is not None:
        wanted = wanted.where(col(Notice.grant_id) == query.grant_id)
    if query.incident_id:
        wanted = wanted.where(col(Notice.incident_id) == query.incident_id)
    if query.kind:
        wanted = wanted.where(col(Notice.kind) == query.kind)
    if query.outcome:
        wanted = wanted.where(col(Notice.outcome) == query.outcome)
    async with front.context.database.reading() as session:
        found = await _newest(session, wanted, Notice, query)
        deliveries = await _deliveries(session, found[: query.limit])
    return page(
        found, query.limit, lambda notice: NoticeShape.of(notice, deliveries[notice.id]), lambda notice: notice.id
    )


@router.get("/events", tags=["events"])
async def list_events(front: Reached, query: Annotated[EventQuery, Query()]) -> Page[EventShape]:
    """List events, the newest first: what we were told, and what came of it."""
    wanted = _in_state(select(Event), Event, query.state)
    wanted = wanted.where(col(Event.application_id) == front.application_id)
    if query.grant_id is not None:
        wanted = wanted.where(col(Event.grant_id) == query.grant_id)
    if query.kind is not None:
        wanted = wanted.where(col(Event.kind) == query.kind)
    if query.outcome:
        wanted = wanted.where(col(Event.outcome) == query.outcome)
    async with front.context.database.reading() as session:
        found = await _newest(session, wanted, Event, query)
    return page(found, query.limit, EventShape.of, lambda event: event.id)


def _in_state(wanted: Select[Row], model: type[Row], state: State | None) -> Select[Row]:
    match state:
        case State.OPEN:
            return wanted.where(col(model.settled_at).is_(None))
        case State.CLOSED:
            return wanted.where(col(model.settled_at).is_not(None))
        case None:
            return wanted


async def _newest(session: AsyncSession, wanted: Select[Row], model: type[Row], query: PageQuery) -> Sequence[Row]:
    """Read a page, and one row more: ids sort by the time that they were made."""
    if after := query.after_row:
        wanted = wanted.where(col(model.id) < after)
    return (await session.scalars(wanted.order_by(col(model.id).desc()).limit(query.limit + 1))).all()


async def _deliveries(session: AsyncSession, notices: Sequence[Notice]) -> dict[UUID, list[tuple[Delivery, Endpoint]]]:
    wanted = (
        select(Delivery, Endpoint)
        .join(Endpoint, col(Delivery.endpoint_id) == col(Endpoint.id))
        .where(col(Delivery.notice_id).in_([notice.id for notice in notices]))
        .order_by(col(Delivery.id))
    )
    found: dict[UUID, list[tuple[Delivery, Endpoint]]] = defaultdict(list)
    for delivery, endpoint in await session.execute(wanted):
        found[delivery.notice_id].append((delivery, endpoint))
    return found
