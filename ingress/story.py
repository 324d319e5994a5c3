"""Why a grant is as it is: its whole story, event by event, in plain words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.markup import escape
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.grant_lists import find_grant, reauth_link
from ingress.terminal import moment, out, put_json
from lifecycle import GrantStatus
from models import AuthSession, CampaignItem, Event, Grant, Transition
from worker.runtime import Runtime

TOLD_BY = {
    "nylas": "Nylas sent {kind}",
    "web": "the user came back from signing in",
    "cli": "an admin asked for {kind}",
    "schedule": "the schedule asked for {kind}",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `order` puts a change after what caused it when both have the same time."""

    at: datetime
    order: int
    what: str
    request_id: str | None = None

    def flat(self) -> dict[str, Any]:
        """The line as a flat object."""
        return {"at": self.at.isoformat(), "what": self.what, "request_id": self.request_id}


async def why(runtime: Runtime, name: str, *, as_json: bool) -> None:
    """Print the story of one grant, oldest first."""
    grant = await find_grant(runtime, name)
    lines = await story(runtime, grant)
    if as_json:
        put_json([line.flat() for line in lines])
        return
    whose = f"{grant.email} ({grant.provider})" if grant.email else grant.provider
    out.print(f"[bold]{escape(grant.id)}[/]  {escape(whose)}", soft_wrap=True)
    out.print(f"[bold]{grant.status.value}[/], as Nylas said at {moment(grant.as_of)} UTC\n")
    for line in lines:
        asked = f"  [dim]Nylas request {escape(line.request_id)}[/]" if line.request_id else ""
        out.print(f"[dim]{moment(line.at)}[/]  {escape(line.what)}{asked}", soft_wrap=True)
    if grant.status is GrantStatus.EXPIRED:
        link = escape(reauth_link(runtime.settings, grant))
        out.print(f"\nIts user can sign in again here: {link}", soft_wrap=True)


async def story(runtime: Runtime, grant: Grant) -> list[Line]:
    """Gather what the tables tell of a grant."""
    async with runtime.context.database.reading() as session:
        changes = (await session.scalars(select(Transition).where(col(Transition.grant_id) == grant.id))).all()
        told = {change.event_id for change in changes}
        lines = [
            *await _events(session, grant, told),
            *await _sign_ins(session, grant),
            *await _items(session, grant),
            *(_change(change) for change in changes),
        ]
    return sorted(lines, key=lambda line: (line.at, line.order))


async def _events(session: AsyncSession, grant: Grant, told: set[UUID | None]) -> list[Line]:
    """What we were told, and what came of it; the events in `told` have a change that says so already."""
    lines = []
    for event in await session.scalars(select(Event).where(col(Event.grant_id) == grant.id)):
        what = TOLD_BY.get(event.source, "{kind}").format(kind=event.kind)
        if event.occurred_at:
            what += f", of {moment(event.occurred_at)}"
        lines.append(Line(event.received_at, 0, what))
        if event.id in told:
            continue
        if event.settled_at and event.outcome:
            attempts = f" after {event.attempts} attempts" if event.attempts > 1 else ""
            came = f"looked at {event.kind}: {event.reason or event.outcome.value}{attempts}"
            lines.append(Line(event.settled_at, 2, came, event.request_id))
        elif event.reason:
            lines.append(Line(event.due_at, 2, f"{event.kind} is to be looked at again: {event.reason}"))
    return lines


async def _sign_ins(session: AsyncSession, grant: Grant) -> list[Line]:
    sign_ins = await session.scalars(select(AuthSession).where(col(AuthSession.grant_id) == grant.id))
    return [Line(sign_in.created_at, 0, f"a sign-in with {sign_in.provider} was started") for sign_in in sign_ins]


async def _items(session: AsyncSession, grant: Grant) -> list[Line]:
    lines = []
    for item in await session.scalars(select(CampaignItem).where(col(CampaignItem.grant_id) == grant.id)):
        if item.settled_at and item.outcome:
            because = f" ({item.reason})" if item.reason else ""
            told = f"re-authentication in campaign {item.campaign_id}: {item.outcome.value}{because}"
            lines.append(Line(item.settled_at, 0, told, item.request_id))
    return lines


def _change(change: Transition) -> Line:
    old = change.old_status.value if change.old_status else "unknown to us"
    blocked = ", blocked" if change.blocked else ""
    told = f"{old} → {change.new_status.value}{blocked}, because of {change.cause}"
    return Line(change.at, 1, told, change.request_id)
