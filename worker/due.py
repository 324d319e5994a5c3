"""What is due at all: one question to the database, for everything that a sweep rings for."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum, auto
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlmodel import col

from lifecycle.incidents import Scope
from models import Campaign, CampaignStatus, Endpoint, Event, Incident, Notice, Retirement, RetirementItem
from models.claims import Claimable, unrung
from models.kinds import EVENT_KINDS
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


def our_events(context: Context) -> ColumnElement[bool]:
    """In SQL: an event of this application that this release knows."""
    return (col(Event.application_id) == context.application_id) & col(Event.kind).in_(EVENT_KINDS)


def has_ended(context: Context) -> ColumnElement[bool]:
    """In SQL: the campaign runs, and none of its items is open any more."""
    running = col(Campaign.status) == CampaignStatus.RUNNING
    return (col(Campaign.application_id) == context.application_id) & running & nothing_left()


def was_cancelled(context: Context) -> ColumnElement[bool]:
    """In SQL: the campaign was cancelled, and its items were not given up yet."""
    cancelled = (col(Campaign.status) == CampaignStatus.CANCELLED) & col(Campaign.finished_at).is_(None)
    return (col(Campaign.application_id) == context.application_id) & cancelled


def can_be_probed(context: Context) -> ColumnElement[bool]:
    """In SQL: an incident that a probe can close; a brake waits for a human."""
    return (col(Incident.application_id) == context.application_id) & (col(Incident.scope) != Scope.BRAKE)


def _first(model: type[Claimable], which: ColumnElement[bool], now: datetime) -> Select[Any]:
    """The order leads to the index of what is due, however much is planned."""
    return select(col(model.id)).where(unrung(model, now), which).order_by(col(model.due_at))


LOOKS: Mapping[Part, Callable[[Context, datetime], Select[Any]]] = {
    Part.EVENTS: lambda context, now: _first(Event, our_events(context), now),
    Part.CAMPAIGNS: lambda context, now: select(col(Campaign.id)).where(ready(context, now)),
    Part.ENDED_CAMPAIGNS: lambda context, _: select(col(Campaign.id)).where(
        has_ended(context) | was_cancelled(context)
    ),
    Part.RETIREMENTS: lambda context, now: _first(RetirementItem, of_application(context.application_id), now),
    Part.ENDED_PLANS: lambda context, _: select(col(Retirement.id)).where(carried_out(context.application_id)),
    Part.NOTICES: lambda context, now: _first(Notice, may_be_told(context.application_id), now),
    Part.DELIVERIES: lambda context, now: select(col(Endpoint.id)).where(with_work(context, now)),
    Part.INCIDENTS: lambda context, now: _first(Incident, can_be_probed(context), now),
}


async def due_now(context: Context) -> set[Part]:
    """Say for what there is something to do, by one statement: asking for each by itself is a round trip for each."""
    now = context.now()
    looks = [look(context, now).limit(1).scalar_subquery().is_not(None) for look in LOOKS.values()]
    async with context.database.reading() as session:
        found = (await session.execute(select(*looks))).one()
    return {part for part, is_there in zip(LOOKS, found, strict=True) if is_there}


async def is_due(context: Context, part: Part) -> bool:
    """Say whether there is something to do of one sort."""
    async with context.database.reading() as session:
        return (await session.execute(LOOKS[part](context, context.now()).limit(1))).first() is not None
