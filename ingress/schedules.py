"""The commands that add schedules, show them and steer them."""

import re
from collections.abc import Mapping
from datetime import UTC
from itertools import islice
from typing import Any, NoReturn

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from ingress.schedule_lists import FIRINGS_SHOWN, find_schedule, in_words, the_schedule
from ingress.terminal import agree, fail, out, say
from models import Campaign, Grant, Schedule
from models.columns import new_id
from models.kinds import REAUTH_BULK_REQUESTED, SYNC_REQUESTED
from tasks.campaigns.requests import CampaignRequest
from tasks.schedules import NothingAsked, ask
from tasks.timetables import Timetable, WrongTimetable
from worker.runtime import Runtime

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OPTIONS = {"credential_id": "credential"}


async def add_schedule(
    runtime: Runtime,
    name: str,
    *,
    cron: str,
    zone: str,
    sync: bool,
    filters: Mapping[str, Any],
    manner: Mapping[str, Any],
    yes: bool,
) -> None:
    """Show when a schedule would fire and what it asks for, and save it if that is agreed to.

    Exits with 2 if it can't be.
    """
    context = runtime.context
    if not NAME.fullmatch(name):
        fail(f"{name!r} can't be a schedule's name: 1 to 64 letters, digits, dots, dashes and underscores.", code=2)
    try:
        timetable = Timetable.read(cron, zone)
    except WrongTimetable as error:
        fail(f"{error}.", code=2)
    request = _request(sync=sync, filters=_given(filters), manner=_given(manner))
    async with context.database.reading() as session:
        if await find_schedule(session, runtime, name):
            _taken(name)
    schedule = Schedule(
        id=new_id(),
        application_id=context.application_id,
        name=name,
        kind=REAUTH_BULK_REQUESTED if request else SYNC_REQUESTED,
        cron=timetable.cron,
        zone=zone,
        payload=request.model_dump(mode="json", exclude_defaults=True) if request else {},
        created_at=context.now(),
        next_at=timetable.next_after(context.now()),
    )
    say(f"Schedule {name} asks for {in_words(schedule)}.")
    if request and request.filter:
        matching = request.filter.matches(context.application_id, context.now())
        async with context.database.reading() as session:
            number = await session.scalar(select(func.count()).select_from(Grant).where(matching))
        say(f"{number} grants match now.")
    say("It fires next at:")
    for due in islice(timetable.after(context.now()), FIRINGS_SHOWN):
        say(f"  {timetable.by_its_clocks(due)}, which is {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    agree("Save it?", yes=yes)
    schedule.created_at, schedule.next_at = context.now(), timetable.next_after(context.now())
    try:
        async with context.database.writing() as session:
            session.add(schedule)
    except IntegrityError:
        _taken(name)
    say(f"Schedule {name} is saved.")


async def pause_schedule(runtime: Runtime, name: str) -> None:
    """Let a schedule fire no more until it is resumed."""
    async with runtime.context.database.writing() as session:
        schedule = await the_schedule(session, runtime, name, locked=True)
        before, schedule.paused_at = schedule.paused_at, schedule.paused_at or runtime.context.now()
    say(f"Schedule {name} is paused{' already' if before else ''}.")


async def resume_schedule(runtime: Runtime, name: str) -> None:
    """Let a schedule fire again from its next due time on; what came due meanwhile is not made up for."""
    async with runtime.context.database.writing() as session:
        schedule = await the_schedule(session, runtime, name, locked=True)
        try:
            timetable = Timetable.read(schedule.cron, schedule.zone)
        except WrongTimetable as error:
            fail(f"{error}. Remove this schedule, and add it anew.")
        if schedule.paused_at:
            schedule.paused_at, schedule.next_at = None, timetable.next_after(runtime.context.now())
    say(f"Schedule {name} fires next at {timetable.by_its_clocks(schedule.next_at)}.")


async def run_schedule_now(runtime: Runtime, name: str) -> None:
    """Ask for what a schedule asks for, and print the id of it; exits with 1 if it can't be asked for."""
    context = runtime.context
    async with context.database.writing() as session:
        schedule = await the_schedule(session, runtime, name, locked=True)
        try:
            asked = await ask(context, session, schedule, due=None, now=context.now())
        except NothingAsked as nothing:
            fail(f"Nothing was asked for: {nothing}.")
    context.ring(schedule.kind, list(asked.new))
    say("A campaign was asked for:" if isinstance(asked.row, Campaign) else "A sync was asked for, by the event:")
    out.print(str(asked.row.id))


async def remove_schedule(runtime: Runtime, name: str, *, yes: bool) -> None:
    """Remove a schedule. Its row stays, for what it has asked for."""
    async with runtime.context.database.reading() as session:
        schedule = await the_schedule(session, runtime, name)
    agree(f"Remove schedule {name}, which asks for {in_words(schedule)}?", yes=yes)
    async with runtime.context.database.writing() as session:
        schedule = await the_schedule(session, runtime, name, locked=True)
        schedule.removed_at = runtime.context.now()
    say(f"Schedule {name} is removed. What it has asked for goes on.")


def _request(*, sync: bool, filters: dict[str, Any], manner: dict[str, Any]) -> CampaignRequest | None:
    """What a campaign is to be asked for by, or None for a sync; exits with 2 if it is both, or neither."""
    if sync:
        if given := [*filters, *manner]:
            fail(f"--sync takes no options of a campaign: leave {_option(given[0])} out.", code=2)
        return None
    if not filters:
        fail(
            "Say what it is to ask for: --sync, or for a campaign which grants, by at least one of --provider, "
            "--credential, --status, --missing-scope, --email-domain, --tag, --hours-left.",
            code=2,
        )
    try:
        return CampaignRequest.model_validate({"filter": filters, **manner})
    except ValidationError as error:
        wrong = (
            f"{_option(str(each['loc'][-1]))}: {each['msg'].removeprefix('Value error, ')}" for each in error.errors()
        )
        fail("; ".join(wrong), code=2)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _option(field: str) -> str:
    return "--" + OPTIONS.get(field, field).replace("_", "-")


def _taken(name: str) -> NoReturn:
    fail(f"There is a schedule {name!r} already: choose another name, or remove that one first.", code=2)
