"""The events of a grant in the story: who told us what, and what came of it."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.story.line import Line, What, because, moment
from models import Event, Grant, Outcome
from models.kinds import (
    GRANT_EDITED,
    GRANT_IDENTITY_CHANGED,
    GRANT_RECHECK,
    GRANT_RELEASED,
    GRANT_REPORTED,
    OAUTH_RETURNED,
)

ACTORS = {
    "nylas": "Nylas",
    "web": "its user",
    "browser": "its user",
    "api": "the product",
    "cli": "an admin",
    "admin": "an admin",
    "schedule": "the schedule",
    "task": "another program",
    "evergrant": "Evergrant",
    "reauth": "Evergrant",
    "incident": "Evergrant",
    "sync": "Evergrant",
}
# What was done when its row was written: the reason says it all.
NOTED = {GRANT_EDITED: What.EDIT, GRANT_RELEASED: What.QUARANTINE, GRANT_IDENTITY_CHANGED: What.LOOK}
ENDS = {
    Outcome.DONE: "looked at Nylas because of {kind}",
    Outcome.IGNORED: "nothing was done about {kind}",
    Outcome.SKIPPED: "{kind} was passed over",
    Outcome.FAILED: "{kind} failed for good",
    Outcome.CANCELLED: "{kind} was cancelled",
    Outcome.SET_ASIDE: "{kind} was set aside, for a human",
}


async def lines(session: AsyncSession, grant: Grant, told: set[UUID | None]) -> list[Line]:
    """Tell of the events of a grant; those in `told` have a change that says already what came of them."""
    wanted = select(Event).where(col(Event.grant_id) == grant.id).order_by(col(Event.id))
    return [line for event in await session.scalars(wanted) for line in _of(event, came_of_it=event.id not in told)]


def _of(event: Event, *, came_of_it: bool) -> Iterator[Line]:
    actor = ACTORS.get(event.source, event.source)
    kinds = NOTED | {GRANT_REPORTED: What.REPORT, GRANT_RECHECK: What.LOOK}
    kind = kinds.get(event.kind, What.EVENT)
    yield Line(event.received_at, kind, actor, _told(event, actor), str(event.id))
    if not came_of_it or event.kind in NOTED:
        return
    if event.settled_at and event.outcome:
        attempts = f" (after {event.attempts} attempts)" if event.attempts > 1 else ""
        what = ENDS[event.outcome].format(kind=event.kind) + because(event.reason) + attempts
        yield Line(event.settled_at, What.LOOK, "Evergrant", what, str(event.id), request_id=event.request_id)
    elif event.reason:
        what = f"{event.kind} could not be settled{because(event.reason)}; tried {event.attempts} times, due again then"
        yield Line(event.due_at, What.LOOK, "Evergrant", what, str(event.id), request_id=event.request_id)


def _told(event: Event, actor: str) -> str:
    match event.kind, event.source:
        case kind, _ if kind == GRANT_RECHECK:
            # Its time stands as it was planned as long as it was not put off.
            moved = event.attempts > 1 or (event.attempts == 1 and event.settled_at is None)
            due = "" if moved else f" at {moment(event.due_at)}"
            return f"a second look is planned{due}: nobody is told before Nylas has said invalid twice"
        case kind, "reauth" if kind == GRANT_REPORTED:
            return "a re-authentication was refused: a reason to look at the grant"
        case kind, _ if kind == GRANT_REPORTED:
            return _reported(event, actor)
        case kind, _ if kind in NOTED:
            return event.reason or kind
        case kind, _ if kind == OAUTH_RETURNED:
            return "its user came back from signing in"
        case kind, "nylas":
            return f"Nylas sent {kind}" + (f", of {moment(event.occurred_at)}" if event.occurred_at else "")
        case kind, _:
            return f"{actor} asked for {kind}"


def _reported(event: Event, actor: str) -> str:
    told: dict[str, Any] = json.loads(event.raw)
    by = f" (token {told['by']})" if told.get("by") else ""
    what = f"{actor}{by} reported that it fails" + (f" with {told['status']}" if told.get("status") else "")
    if event.occurred_at and event.occurred_at != event.received_at:
        what += f" since {moment(event.occurred_at)}"
    if told.get("request_id"):
        what += f", at Nylas' request {told['request_id']}"
    return what + because(told.get("detail"))
