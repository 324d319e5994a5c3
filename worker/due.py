"""What is due at all: one question to the database, for everything that a sweep rings for."""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlmodel import col

from lifecycle.incidents import Scope
from models import Campaign, CampaignStatus, Endpoint, Event, Incident, Notice, Retirement, RetirementItem
from models.claims import Claimable
from models.kinds import EVENT_KINDS
from models.prepared import Prepared
from models.rings import moment, unrung
from tasks.campaigns.ending import nothing_left
from tasks.campaigns.serving import ready
from tasks.context import Context
from tasks.notices.ringing import may_be_told, with_work
from tasks.retirement_plans import carried_out, of_application


class Part(Enum):
    """What there may be to ring for, or to end."""

    EVENTS = auto()
    CAMPAIGNS = auto()
    ENDED_CAMPAIGNS = auto()
    RETIREMENTS = auto()
    ENDED_PLANS = auto()
    NOTICES = auto()
    DELIVERIES = auto()
    INCIDENTS = auto()


@lru_cache(64)
def our_events(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: an event of this application that this release knows."""
    return (col(Event.application_id) == application_id) & col(Event.kind).in_(EVENT_KINDS)


def has_ended(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: the campaign runs, and none of its items is open any more."""
    running = col(Campaign.status) == CampaignStatus.RUNNING
    return (col(Campaign.application_id) == application_id) & running & nothing_left()


def was_cancelled(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: the campaign was cancelled, and its items were not given up yet."""
    cancelled = (col(Campaign.status) == CampaignStatus.CANCELLED) & col(Campaign.finished_at).is_(None)
    return (col(Campaign.application_id) == application_id) & cancelled


@lru_cache(64)
def can_be_probed(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: an incident that a probe can close; a brake waits for a human."""
    return (col(Incident.application_id) == application_id) & (col(Incident.scope) != Scope.BRAKE)


def _first(model: type[Claimable], which: ColumnElement[bool]) -> Select[Any]:
    """The order leads to the index of what is due, however much is planned."""
    return select(col(model.id)).where(unrung(model), which).order_by(col(model.due_at))


LOOKS: Mapping[Part, Callable[[UUID], Select[Any]]] = {
    Part.EVENTS: lambda ours: _first(Event, our_events(ours)),
    Part.CAMPAIGNS: lambda ours: select(col(Campaign.id)).where(ready(ours)),
    Part.ENDED_CAMPAIGNS: lambda ours: select(col(Campaign.id)).where(has_ended(ours) | was_cancelled(ours)),
    Part.RETIREMENTS: lambda ours: _first(RetirementItem, of_application(ours)),
    Part.ENDED_PLANS: lambda ours: select(col(Retirement.id)).where(carried_out(ours)),
    Part.NOTICES: lambda ours: _first(Notice, may_be_told(ours)),
    Part.DELIVERIES: lambda ours: select(col(Endpoint.id)).where(with_work(ours)),
    Part.INCIDENTS: lambda ours: _first(Incident, can_be_probed(ours)),
}
"""What is looked for of an application; `models.rings.moment` says when that is."""


async def due_now(context: Context, parts: tuple[Part, ...] = tuple(Part)) -> set[Part]:
    """Say for which of the parts there is something to do, by one statement: one for each would be many round trips."""
    async with context.database.reading() as session:
        [found] = await _looks(context.application_id, parts).rows(session, moment(context.now()))
    return {part for part, is_there in zip(parts, found, strict=True) if is_there}


@lru_cache(64)
def _looks(application_id: UUID, parts: tuple[Part, ...]) -> Prepared:
    """Made once: making it for all parts takes 6 ms, and a sweep asks each second."""
    firsts = (LOOKS[part](application_id).limit(1).scalar_subquery() for part in parts)
    return Prepared(select(*(first.is_not(None) for first in firsts)))
