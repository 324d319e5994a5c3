"""The commands that show schedules: what they ask for, when they are due, and what came of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.terminal import fail, out, put_json, put_table
from models import Campaign, Event, Schedule
from models.kinds import SYNC_REQUESTED
from tasks.schedules import clocks, first_of_its_keys, late
from tasks.timetables import Timetable, WrongTimetable
from worker.runtime import Runtime
from worker.schedule import CRONS

FIRINGS_SHOWN, ENDS_SHOWN = 5, 10
ACTIVE, PAUSED, BUILT_IN = "active", "paused", "built in"
WORDS = {
    "provider": "of {}",
    "credential_id": "of the credential {}",
    "status": "that are {}",
    "missing_scope": "that lack {}",
    "email_domain": "at {}",
    "tag": "tagged {}",
    "hours_left": "with less than {:g} h of their 72 left",
}


async def list_schedules(runtime: Runtime, *, as_json: bool) -> None:
    """Print all schedules by name, and after them what is built in."""
    ours = (col(Schedule.application_id) == runtime.application.id) & col(Schedule.removed_at).is_(None)
    async with runtime.context.database.reading() as session:
        schedules = (await session.scalars(select(Schedule).where(ours).order_by(col(Schedule.name)))).all()
    rows = [(schedule, flat(schedule)) for schedule in schedules]
    rows += [_built_in(runtime, kind, cron) for kind, cron in CRONS.items()]
    if as_json:
        put_json([row for _, row in rows])
        return
    columns = ("name", "state", "asks_for", "cron", "zone")
    told = [(*(row[column] for column in columns), *_by_its_clocks(schedule)) for schedule, row in rows]
    put_table(None, (*columns, "next_at", "fired_at"), told)


async def show_schedule(runtime: Runtime, name: str, *, as_json: bool) -> None:
    """Print one schedule, its next due times, and what came of its last firings."""
    async with runtime.context.database.reading() as session:
        schedule = await the_schedule(session, runtime, name)
        ends = await _ends(session, schedule)
    coming = _coming(schedule, runtime.context.now())
    if as_json:
        put_json(flat(schedule) | {"request": schedule.payload, "coming": coming, "firings": ends})
        return
    put_table(None, ("field", "value"), flat(schedule).items())
    if coming:
        out.print()
        put_table(None, ("due next", "in UTC"), [(due["local"], due["utc"]) for due in coming])
    if ends:
        out.print()
        put_table(None, tuple(ends[0]), [tuple(end.values()) for end in ends])


async def the_schedule(session: AsyncSession, runtime: Runtime, name: str, *, locked: bool = False) -> Schedule:
    """Read the schedule of that name, or exit with 1."""
    schedule = await find_schedule(session, runtime, name, locked=locked)
    if schedule is None:
        fail(f"No schedule has the name {name!r}. (evergrant schedules list)")
    return schedule


async def find_schedule(session: AsyncSession, runtime: Runtime, name: str, *, locked: bool = False) -> Schedule | None:
    """Read the schedule of that name, if there is one that was not removed."""
    ours = (col(Schedule.application_id) == runtime.application.id) & col(Schedule.removed_at).is_(None)
    wanted = select(Schedule).where(ours, col(Schedule.name) == name)
    return await session.scalar(wanted.with_for_update() if locked else wanted)


def in_words(schedule: Schedule) -> str:
    """What a schedule asks for: `a campaign for grants of google, that are expired; at 5 calls a second`."""
    if schedule.kind == SYNC_REQUESTED:
        return "a sync"
    filters: Mapping[str, Any] = schedule.payload.get("filter") or {}
    whom = ", ".join(WORDS.get(name, f"with {name} {{}}").format(value) for name, value in filters.items())
    parts = [f"a campaign for grants {whom}" if whom else "a campaign for all grants"]
    if grants := schedule.payload.get("grants"):
        parts = [f"a campaign for {len(grants)} grants"]
    if rate := schedule.payload.get("rate"):
        parts.append(f"at {rate:g} calls a second")
    if most := schedule.payload.get("max_failures"):
        parts.append(f"it stops at more than {most} failures")
    if schedule.payload.get("ask_users"):
        parts.append("users are asked to sign in where nothing else helps")
    return "; ".join(parts)


def flat(schedule: Schedule) -> dict[str, str | None]:
    """A schedule as a flat object; `next_at` is None while it is paused."""
    return {
        "schedule_id": str(schedule.id),
        "name": schedule.name,
        "state": PAUSED if schedule.paused_at else ACTIVE,
        "kind": schedule.kind,
        "asks_for": in_words(schedule),
        "cron": schedule.cron,
        "zone": schedule.zone,
        "next_at": None if schedule.paused_at else _iso(schedule.next_at),
        "fired_at": _iso(schedule.fired_at),
        "fired_for": _iso(schedule.fired_for),
        "created_at": _iso(schedule.created_at),
        "paused_at": _iso(schedule.paused_at),
    }


def _by_its_clocks(schedule: Schedule) -> tuple[str | None, str | None]:
    due, fired = None if schedule.paused_at else schedule.next_at, schedule.fired_at
    return clocks(schedule, due) if due else None, clocks(schedule, fired) if fired else None


def _built_in(runtime: Runtime, kind: str, cron: str) -> tuple[Schedule, dict[str, str | None]]:
    now = runtime.context.now()
    due = Timetable.read(cron, "UTC").next_after(now)
    schedule = Schedule(
        application_id=runtime.application.id, name=kind, kind=kind, cron=cron, created_at=now, next_at=due
    )
    return schedule, flat(schedule) | {"schedule_id": None, "created_at": None, "state": BUILT_IN}


def _coming(schedule: Schedule, now: datetime) -> list[dict[str, str]]:
    """The next due times; none while it is paused, or where the zone is no more."""
    if schedule.paused_at:
        return []
    try:
        timetable = Timetable.read(schedule.cron, schedule.zone)
    except WrongTimetable:
        return []
    dues = islice(timetable.after(now), FIRINGS_SHOWN)
    return [{"local": timetable.by_its_clocks(due), "utc": due.astimezone(UTC).isoformat()} for due in dues]


async def _ends(session: AsyncSession, schedule: Schedule) -> list[dict[str, str | None]]:
    """What came of the last firings, the newest first: campaigns, and the events of the rest."""
    its_campaigns = select(Campaign).where(col(Campaign.schedule_id) == schedule.id)
    campaigns = await session.scalars(its_campaigns.order_by(col(Campaign.id).desc()).limit(ENDS_SHOWN))
    its_events = select(Event).where(col(Event.key).startswith(first_of_its_keys(schedule), autoescape=True))
    events = await session.scalars(its_events.order_by(col(Event.id).desc()).limit(ENDS_SHOWN))
    ends = [
        _end("campaign", row, schedule, due=row.fired_for, at=row.created_at, came=row.status.value)
        for row in campaigns
    ]
    ends += [
        _end("event", row, schedule, due=row.occurred_at, at=row.received_at, came=row.outcome or "open")
        for row in events
    ]
    return sorted(ends, key=lambda end: end["fired_at"] or "", reverse=True)[:ENDS_SHOWN]


def _end(
    what: str, row: Campaign | Event, schedule: Schedule, *, due: datetime | None, at: datetime, came: str
) -> dict[str, str | None]:
    delay = late(schedule, due, now=at)
    reasons = [row.reason, None if delay and delay in (row.reason or "") else delay]
    return {
        "fired_at": _iso(at),
        "due_at": _iso(due),
        "what": what,
        "id": str(row.id),
        "outcome": came,
        "reason": "; ".join(reason for reason in reasons if reason) or None,
    }


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
