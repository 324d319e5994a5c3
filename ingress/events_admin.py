"""The commands that show events, and bring back those that ended without success."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlmodel import col

from ingress.terminal import agree, fail, out, put_json, put_table, say
from models import Event, Outcome
from models.kinds import EVENT_KINDS, most_ids
from tasks.context import Context
from worker.runtime import Runtime

BROUGHT_BACK = (Outcome.SET_ASIDE, Outcome.FAILED)
ROWS_A_TRANSACTION = 5_000


async def list_events(
    runtime: Runtime,
    *,
    kind: str | None,
    outcomes: Sequence[Outcome],
    grant_id: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Print events, the newest first."""
    wanted = _ours(runtime, kind=kind, outcomes=outcomes, grant_id=grant_id)
    async with runtime.context.database.reading() as session:
        events = (await session.scalars(wanted.order_by(col(Event.id).desc()).limit(limit))).all()
    if as_json:
        put_json([flat(event) for event in events])
        return
    columns = ("event_id", "kind", "source", "grant_id", "received_at", "outcome", "reason")
    rows = [(e.id, e.kind, e.source, e.grant_id, e.received_at, e.outcome or "open", e.reason) for e in events]
    put_table(None, columns, rows)


async def show_event(runtime: Runtime, event_id: UUID, *, as_json: bool) -> None:
    """Print one event, with its body as it came."""
    async with runtime.context.database.reading() as session:
        event = await session.get(Event, event_id)
    if event is None or event.application_id != runtime.application.id:
        fail(f"No event has the id {event_id}. (evergrant events list)")
    if as_json:
        put_json(flat(event) | {"body": _body(event)})
        return
    put_table(None, ("field", "value"), flat(event).items())
    out.print()
    out.print(_body(event), markup=False, soft_wrap=True)


async def retry_events(
    runtime: Runtime,
    ids: Sequence[UUID],
    *,
    kind: str | None,
    outcomes: Sequence[Outcome],
    yes: bool,
    as_json: bool,
) -> None:
    """Make events due again that were set aside or failed: those of these ids, or all of these outcomes."""
    if not ids and not outcomes:
        fail("Say which events: their ids, or --set-aside, or --failed. (evergrant events list)", code=2)
    wanted = _ours(runtime, kind=kind, outcomes=outcomes or BROUGHT_BACK).where(col(Event.kind).in_(EVENT_KINDS))
    if ids:
        wanted = wanted.where(col(Event.id).in_(ids))
        await _explain_others(runtime, ids)
    async with runtime.context.database.reading() as session:
        number = await session.scalar(wanted.with_only_columns(func.count())) or 0
    if not number:
        fail("There is no such event.")
    if not ids:
        agree(f"Have {number} events dealt with again?", yes=yes)
    brought_back = await bring_back(runtime.context, wanted)
    say(f"{brought_back} events are due again.")
    if as_json:
        put_json({"due_again": brought_back})


async def _explain_others(runtime: Runtime, ids: Sequence[UUID]) -> None:
    """Exit, with nothing done, if one of the ids can't be brought back; say why."""
    async with runtime.context.database.reading() as session:
        found = {event.id: event for event in await session.scalars(_ours(runtime).where(col(Event.id).in_(ids)))}
    for event_id in ids:
        match found.get(event_id):
            case None:
                fail(f"No event has the id {event_id}. Nothing was done.")
            case Event(outcome=outcome) if outcome not in BROUGHT_BACK:
                stands = outcome.value if outcome else "open"
                fail(f"{event_id} is {stands}: only what was set aside or failed is brought back. Nothing was done.")
            case Event(kind=kind) if kind not in EVENT_KINDS:
                fail(f"{event_id} is of the kind {kind}, which nothing deals with. Nothing was done.")


async def bring_back(context: Context, wanted: Select[Event]) -> int:
    """Make the events due, in parts, and ring for them; return how many they are."""
    number = 0
    ids = wanted.with_only_columns(col(Event.id)).order_by(col(Event.id)).limit(ROWS_A_TRANSACTION).with_for_update()
    while True:
        now = context.now()
        async with context.database.writing() as session:
            part = (await session.scalars(ids)).all()
            again = (
                update(Event)
                .where(col(Event.id).in_(part))
                .values(settled_at=None, outcome=None, attempts=0, crashes=0, due_at=now, rung_at=now)
                .values(claim_token=None, lease_until=None)
                .returning(col(Event.id), col(Event.kind))
            )
            due = (await session.execute(again.execution_options(synchronize_session=False))).all()
        for kind in {kind for _, kind in due}:
            of_kind = [event_id for event_id, its in due if its == kind]
            for start in range(0, len(of_kind), most_ids(kind)):
                context.ring(kind, of_kind[start : start + most_ids(kind)])
        number += len(due)
        if len(part) < ROWS_A_TRANSACTION:
            return number


def _ours(
    runtime: Runtime, *, kind: str | None = None, outcomes: Sequence[Outcome] = (), grant_id: str | None = None
) -> Select[Event]:
    wanted = select(Event).where(col(Event.application_id) == runtime.application.id)
    if kind:
        wanted = wanted.where(col(Event.kind) == kind)
    if outcomes:
        wanted = wanted.where(col(Event.outcome).in_(outcomes))
    if grant_id:
        wanted = wanted.where(col(Event.grant_id) == grant_id)
    return wanted


def flat(event: Event) -> dict[str, Any]:
    """An event as a flat object, without its body."""
    times = ("occurred_at", "received_at", "due_at", "settled_at")
    return {
        "event_id": str(event.id),
        "kind": event.kind,
        "source": event.source,
        "grant_id": event.grant_id,
        "outcome": event.outcome.value if event.outcome else None,
        "reason": event.reason,
        "attempts": event.attempts,
        "crashes": event.crashes,
        "request_id": event.request_id,
        **{name: when.isoformat() if (when := getattr(event, name)) else None for name in times},
    }


def _body(event: Event) -> str:
    """The body as it came, set out if it is JSON; what is no text stands as escapes."""
    text = event.raw.decode(errors="backslashreplace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
