"""The commands that show incidents, and close them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.terminal import fail, put_json, put_table, say
from lifecycle.incidents import OF_GRANTS, Scope
from models import Incident, Notice, Outcome
from tasks.ending import Held, end, ends
from tasks.incidents import holds, tally
from worker.runtime import Runtime

COLUMNS = ("incident_id", "scope", "subject", "state", "grants", "held", "opened_at", "closed_at", "what")


async def list_incidents(runtime: Runtime, *, every: bool, limit: int, as_json: bool) -> None:
    """Print the incidents that are open or were set aside, or all, newest first."""
    wanted = select(Incident).where(col(Incident.application_id) == runtime.application.id)
    if not every:
        wanted = wanted.where(col(Incident.settled_at).is_(None) | (col(Incident.outcome) == Outcome.SET_ASIDE))
    newest_first = wanted.order_by(col(Incident.opened_at).desc(), col(Incident.id)).limit(limit)
    async with runtime.context.database.reading() as session:
        rows = [await _flat(session, incident) for incident in await session.scalars(newest_first)]
    if as_json:
        put_json(rows)
    elif rows:
        put_table(None, COLUMNS, ([row[column] for column in COLUMNS] for row in rows))
    else:
        say("No incident is open.")


async def show_incident(runtime: Runtime, incident_id: UUID, *, as_json: bool) -> None:
    """Print one incident, with how its grants stand."""
    incident = await _find(runtime, incident_id)
    async with runtime.context.database.reading() as session:
        counted, flat = await tally(session, incident), await _flat(session, incident)
    shown = flat | {
        "recovered": counted.recovered,
        "still_failing": counted.failing,
        "canary": incident.canary,
        "looked_at": _iso(incident.probed_at),
        "next_look": _iso(incident.due_at)
        if incident.settled_at is None and incident.scope is not Scope.BRAKE
        else None,
        "said": incident.reason,
        "request_id": incident.request_id,
    }
    if as_json:
        put_json(shown)
    else:
        put_table(None, ("field", "value"), shown.items())


async def close_incident(runtime: Runtime, incident_id: UUID, *, release: bool, withdraw: bool) -> None:
    """Close an incident, or say why that can't be."""
    incident = await _find(runtime, incident_id)
    if incident.scope is Scope.BRAKE and ends(incident):
        fail(f"It is a brake, which is released: evergrant brake release {incident.subject}", code=2)
    if (release or withdraw) and incident.scope not in OF_GRANTS:
        fail(
            f"An incident of the {incident.scope.value} holds no notices: there is nothing to release or withdraw.",
            code=2,
        )
    held = Held.RELEASE if release else Held.WITHDRAW if withdraw else Held.LOOK_AGAIN
    if await end(runtime.context, incident_id, held) is None:
        fail("It is closed already.")
    say("Closed.")


async def _find(runtime: Runtime, incident_id: UUID) -> Incident:
    async with runtime.context.database.reading() as session:
        incident = await session.get(Incident, incident_id)
    if incident is None or incident.application_id != runtime.application.id:
        fail(f"There is no incident {incident_id}. (evergrant incidents list --all shows those that there were)")
    return incident


async def _flat(session: AsyncSession, incident: Incident) -> dict[str, Any]:
    held = await session.scalar(select(func.count()).select_from(Notice).where(holds(incident)))
    state = "open" if incident.settled_at is None else "set aside" if ends(incident) else "closed"
    return {
        "incident_id": str(incident.id),
        "scope": incident.scope.value,
        "subject": incident.subject,
        "state": state,
        "grants": incident.grants,
        "held": held or 0,
        "opened_at": _iso(incident.opened_at),
        "closed_at": _iso(incident.settled_at),
        "what": incident.what,
    }


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
