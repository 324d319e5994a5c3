"""Schedules: what is due is asked for, each due time once, however many beats there are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Campaign, CampaignStatus, EventData, Outcome, Schedule
from models.claims import close
from models.inbox import receive, told
from models.kinds import REAUTH_BULK_REQUESTED, SYNC_REQUESTED
from tasks.campaigns.planning import Refused, write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.context import Context
from tasks.timetables import Timetable, WrongTimetable

SCHEDULES_DUE = "schedules.due"
ON_TIME = timedelta(minutes=1)
ENDED = (CampaignStatus.FINISHED, CampaignStatus.CANCELLED, CampaignStatus.REFUSED)
HALTED = (CampaignStatus.PAUSED, CampaignStatus.STOPPED)


class NothingAsked(Exception):
    """A schedule asks for nothing this time; the text says why, and `outcome` how the event of it ends."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Asked:
    """What a schedule asked for: the row of it, and the ids of new events, to ring for."""

    row: Campaign | EventData
    new: set[UUID]


@shared_task(name=SCHEDULES_DUE)
async def fire_due(ctx: Context) -> None:
    """Fire each schedule that is due, in a transaction of its own: one that fails takes no other with it.

    Raises the first failure after all have had their turn.
    """
    async with ctx.database.reading() as session:
        due = (await session.scalars(_due(ctx, ctx.now()).with_only_columns(col(Schedule.id)))).all()
    failures = []
    for schedule_id in due:
        try:
            await _fire(ctx, schedule_id)
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _due(ctx: Context, now: datetime, *condition: ColumnElement[bool]) -> Select[Schedule]:
    ours = (col(Schedule.application_id) == ctx.application_id) & col(Schedule.removed_at).is_(None)
    due = ours & col(Schedule.paused_at).is_(None) & (col(Schedule.next_at) <= now)
    return select(Schedule).where(due, *condition).order_by(col(Schedule.next_at), col(Schedule.id))


async def _fire(ctx: Context, schedule_id: UUID) -> None:
    """Write what a schedule asks for, and when it is due next: both, or neither.

    Its row is locked: who comes at the same time passes it by, and who comes later finds that it has moved on. What
    came due more than once is asked for once.
    """
    async with ctx.database.writing() as session:
        now = ctx.now()
        this = _due(ctx, now, col(Schedule.id) == schedule_id)
        schedule = await session.scalar(this.with_for_update(skip_locked=True))
        if schedule is None:
            return
        due, new = schedule.next_at, set[UUID]()
        try:
            schedule.next_at = Timetable.read(schedule.cron, schedule.zone).next_after(now)
            new = (await ask(ctx, session, schedule, due=due, now=now)).new
        except WrongTimetable as error:
            schedule.paused_at = now
            nothing = NothingAsked(Outcome.SET_ASIDE, f"schedule {schedule.name} is paused: {error}")
            await _note(session, schedule, nothing, due=due, now=now)
        except NothingAsked as nothing:
            await _note(session, schedule, nothing, due=due, now=now)
        schedule.fired_at, schedule.fired_for = now, due
    ctx.ring(schedule.kind, list(new))


async def ask(ctx: Context, session: AsyncSession, schedule: Schedule, *, due: datetime | None, now: datetime) -> Asked:
    """Write what a schedule asks for, whose row is locked: a campaign, or an event. Raises NothingAsked.

    `due` is None if an admin wants it now. The key of what is written is the schedule and the due time.
    """
    if schedule.kind == SYNC_REQUESTED:
        event = _event(schedule, due, now=now)
        event.reason = late(schedule, due, now=now)
        return Asked(event, await receive(session, [event]))
    if schedule.kind != REAUTH_BULK_REQUESTED:
        raise NothingAsked(Outcome.SET_ASIDE, f"no schedule can ask for {schedule.kind}")
    if earlier := await _open_campaign(session, schedule):
        stands = f"has not ended: it is {earlier.status.value}" if earlier.status in HALTED else "still runs"
        of = clocks(schedule, earlier.fired_for or earlier.created_at)
        raise NothingAsked(Outcome.SKIPPED, f"the campaign of {of} {stands}")
    try:
        request = CampaignRequest.model_validate({**schedule.payload, "idempotency_key": _key(schedule, due, now=now)})
        async with session.begin_nested():
            campaign, new = await write_campaign(
                session,
                ctx,
                request,
                source=_source(due),
                actor=f"schedule {schedule.name}",
                now=now,
                schedule_id=schedule.id,
                fired_for=due,
            )
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise NothingAsked(Outcome.SET_ASIDE, f"what it asks for is no request of a campaign: {wrong}") from error
    except Refused as error:
        raise NothingAsked(Outcome.SET_ASIDE, str(error)) from error
    campaign.reason = late(schedule, due, now=now)
    return Asked(campaign, new)


async def _open_campaign(session: AsyncSession, schedule: Schedule) -> Campaign | None:
    of_it = (col(Campaign.schedule_id) == schedule.id) & col(Campaign.status).not_in(ENDED)
    return await session.scalar(select(Campaign).where(of_it).order_by(col(Campaign.id).desc()).limit(1))


async def _note(
    session: AsyncSession, schedule: Schedule, nothing: NothingAsked, *, due: datetime, now: datetime
) -> None:
    """Write the event of a firing that asks for nothing: it has ended as it is written."""
    event = _event(schedule, due, now=now, what=schedule.payload)
    reasons = [str(nothing), late(schedule, due, now=now)]
    close(event, nothing.outcome, now=now, reason="; ".join(reason for reason in reasons if reason))
    await receive(session, [event])


def _event(
    schedule: Schedule, due: datetime | None, *, now: datetime, what: Mapping[str, Any] | None = None
) -> EventData:
    return told(
        schedule.kind,
        _key(schedule, due, now=now),
        application_id=schedule.application_id,
        source=_source(due),
        now=now,
        raw=json.dumps({**(what or {}), "schedule": schedule.name}).encode(),
        occurred_at=due,
    )


def _key(schedule: Schedule, due: datetime | None, *, now: datetime) -> str:
    return first_of_its_keys(schedule) + (due.isoformat() if due else f"now:{now.isoformat()}")


def first_of_its_keys(schedule: Schedule) -> str:
    """How the keys of all that a schedule asks for begin."""
    return f"schedule:{schedule.id}:"


def _source(due: datetime | None) -> str:
    return "schedule" if due else "cli"


def late(schedule: Schedule, due: datetime | None, *, now: datetime) -> str | None:
    """Say by how much a firing comes late, and when it was due; None if it is on time."""
    if due is None or now - due < ON_TIME:
        return None
    return f"late by {span(now - due)}: it was due at {clocks(schedule, due)}"


def clocks(schedule: Schedule, moment: datetime) -> str:
    """A time by the clocks of the schedule's zone."""
    try:
        return Timetable.read(schedule.cron, schedule.zone).by_its_clocks(moment)
    except WrongTimetable:
        return moment.isoformat(sep=" ", timespec="minutes")


def span(time: timedelta) -> str:
    """How long that is, as people say it: `5 min`, `3 h`, `2 days`."""
    minutes = int(time.total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
