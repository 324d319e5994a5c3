"""A human says that an incident is over: what becomes of the notices that it holds is for them to say."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from models import Incident, Outcome
from tasks.context import Context
from tasks.holding import let_go, withdraw
from tasks.incidents import close_incident


class Held(StrEnum):
    """What becomes of the notices that an incident holds when a human closes it."""

    LOOK_AGAIN = "look_again"
    """Each grant is looked at once more, and what is still so is told."""
    RELEASE = "release"
    """Expiries that a second look has confirmed are told at once."""
    WITHDRAW = "withdraw"
    """None is ever told."""


SAYS = {
    Held.LOOK_AGAIN: "closed by an admin: its grants are looked at again",
    Held.RELEASE: "closed by an admin, who let its notices go",
    Held.WITHDRAW: "closed by an admin, who withdrew its notices",
}


def ends(incident: Incident) -> bool:
    """Tell whether there is anything to close: it is open, or was set aside with what it held."""
    return incident.settled_at is None or incident.outcome is Outcome.SET_ASIDE


async def end(ctx: Context, incident_id: UUID, held: Held) -> Incident | None:
    """Close an incident; None if it was closed already. A probe that is at it writes nothing any more."""
    ours = select(Incident).where(col(Incident.id) == incident_id, col(Incident.application_id) == ctx.application_id)
    while True:
        async with ctx.database.writing() as session:
            incident = (await session.scalars(ours.with_for_update())).one_or_none()
            if incident is None or not ends(incident):
                return None
            now, is_closed = ctx.now(), True
            if held is Held.WITHDRAW:
                await withdraw(session, incident, SAYS[held], now=now)
            else:
                sure_since = (incident.since or incident.opened_at) if held is Held.RELEASE else None
                is_closed = await let_go(ctx, session, incident, sure_since=sure_since, now=now)
            if is_closed:
                await close_incident(session, incident, SAYS[held], now=now)
                return incident
