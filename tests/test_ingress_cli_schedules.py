"""The commands of schedules: nothing is saved before it was shown, and what can't be is refused with the reason."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignStatus, Event, Outcome, Schedule
from models.claims import close
from models.database import Database
from models.kinds import REAUTH_BULK_REQUESTED, SYNC_REQUESTED
from tests.front import installed, only_sqlite, set_up, told, without_database
from tests.in_process import Command

__all__ = ["installed", "without_database"]
pytestmark = only_sqlite

ADD = ("schedules", "add", "nightly", "--cron", "0 3 * * 1-5", "--zone", "Europe/Berlin")
EXPIRED_ONES = (*ADD, "--status", "expired")


@pytest.fixture
def evergrant(tmp_path: Path, database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, on an installation of its own."""
    settings = told(tmp_path, DATABASE_URL=database_url)
    set_up(monkeypatch, settings)
    return Command(settings)


async def rows(database: Database, model: Any) -> list[Any]:
    """All rows of a table, in the order in which they were made."""
    async with database.reading() as session:
        return list(await session.scalars(select(model).order_by(col(model.id))))


async def test_a_schedule_is_shown_before_it_is_saved(evergrant: Command, database: Database) -> None:
    asked = await evergrant(*EXPIRED_ONES)
    assert (asked.code, asked.out) == (2, "")
    assert "Schedule nightly asks for a campaign for grants that are expired." in asked.err
    assert "0 grants match now. It fires next at: " in asked.err
    assert asked.err.count(" 03:00+0") == asked.err.count(" UTC") == 5
    assert asked.err.endswith("Save it? There is no terminal to ask at: say --yes")
    assert await rows(database, Schedule) == []

    saved = await evergrant(*EXPIRED_ONES, "--yes")

    assert (saved.code, saved.out) == (0, "")
    assert saved.err.endswith("Schedule nightly is saved.")
    [schedule] = await rows(database, Schedule)
    assert (schedule.name, schedule.kind, schedule.cron) == ("nightly", REAUTH_BULK_REQUESTED, "0 3 * * 1-5")
    assert (schedule.zone, schedule.payload) == ("Europe/Berlin", {"filter": {"status": "expired"}})
    assert schedule.next_at > datetime.now(UTC)


async def test_a_campaign_of_every_option_is_told_in_words(evergrant: Command, database: Database) -> None:
    options = ("--provider", "google", "--credential", "c1", "--status", "expired", "--missing-scope", "a.b")
    more = ("--email-domain", "Example.com", "--tag", "vip", "--hours-left", "12")
    manner = ("--rate", "5", "--max-failures", "5%", "--ask-users")
    saved = await evergrant(*ADD, *options, *more, *manner, "--yes")
    assert (
        "asks for a campaign for grants of google, that are expired, of the credential c1, that lack a.b, "
        "at example.com, tagged vip, with less than 12 h of their 72 left; at 5 calls a second; it stops at more "
        "than 5% failures; users are asked to sign in where nothing else helps." in saved.err
    )
    [schedule] = await rows(database, Schedule)
    assert schedule.payload == {
        "filter": {
            "provider": "google",
            "status": "expired",
            "credential_id": "c1",
            "missing_scope": "a.b",
            "email_domain": "example.com",
            "tag": "vip",
            "hours_left": 12.0,
        },
        "rate": 5.0,
        "max_failures": "5%",
        "ask_users": True,
    }


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        (("x", "--cron", "0 3 * *", "--sync"), "'0 3 * *' is no cron expression: it takes five fields"),
        (("x", "--cron", "0 25 * * *", "--sync"), "bad hour"),
        (("x", "--cron", "0 3 30 2 *", "--sync"), "bad day-of-month"),
        (("x", "--cron", "0 3 * * *", "--zone", "Berlin", "--sync"), "'Berlin' is no time zone"),
        (("x", "--sync"), "--cron"),
        (("-", "--cron", "0 3 * * *", "--sync"), "can't be a schedule's name"),
        (("a b", "--cron", "0 3 * * *", "--sync"), "'a b' can't be a schedule's name"),
        (("x" * 65, "--cron", "0 3 * * *", "--sync"), "can't be a schedule's name"),
        (("x", "--cron", "0 3 * * *"), "Say what it is to ask for: --sync, or for a campaign"),
        (("x", "--cron", "0 3 * * *", "--rate", "3"), "Say what it is to ask for"),
        (("x", "--cron", "0 3 * * *", "--sync", "--rate", "3"), "leave --rate out"),
        (("x", "--cron", "0 3 * * *", "--sync", "--credential", "c"), "leave --credential out"),
        (("x", "--cron", "0 3 * * *", "--tag", "a tag"), "--tag: "),
        (("x", "--cron", "0 3 * * *", "--tag", "t", "--rate", "0"), "--rate: "),
        (("x", "--cron", "0 3 * * *", "--tag", "t", "--rate", "nan"), "--rate: "),
        (("x", "--cron", "0 3 * * *", "--hours-left", "73"), "--hours-left: "),
        (("x", "--cron", "0 3 * * *", "--tag", "t", "--max-failures", "many"), "--max-failures: 'many' is neither"),
    ],
)
async def test_what_can_t_be_a_schedule_is_refused(
    evergrant: Command, database: Database, arguments: tuple[str, ...], because: str
) -> None:
    refused = await evergrant("schedules", "add", *arguments, "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert because in refused.err
    assert await rows(database, Schedule) == []


async def test_a_name_is_taken_until_its_schedule_is_removed(evergrant: Command, database: Database) -> None:
    assert (await evergrant(*ADD, "--sync", "--yes")).code == 0
    taken = await evergrant(*ADD, "--sync", "--yes")
    assert (taken.code, "There is a schedule 'nightly' already" in taken.err) == (2, True)
    asked = await evergrant("schedules", "remove", "nightly")
    assert (asked.code, "Remove schedule nightly, which asks for a sync?" in asked.err) == (2, True)

    assert (await evergrant("schedules", "remove", "nightly", "--yes")).code == 0

    assert (await evergrant(*ADD, "--sync", "--yes")).code == 0
    assert [schedule.removed_at is None for schedule in await rows(database, Schedule)] == [False, True]


async def test_the_list_has_what_was_added_and_what_is_built_in(evergrant: Command) -> None:
    await evergrant(*ADD, "--sync", "--yes")
    added, built_in = (await evergrant("schedules", "list", "--json")).data
    assert (added["name"], added["state"], added["asks_for"]) == ("nightly", "active", "a sync")
    assert datetime.fromisoformat(added["next_at"]) > datetime.now(UTC)
    assert (built_in["name"], built_in["state"], built_in["cron"]) == (SYNC_REQUESTED, "built in", "17 * * * *")
    assert built_in["schedule_id"] is None
    table = await evergrant("schedules", "list")
    assert all(word in table.out for word in ("nightly", "Europe/Berlin", "0 3 * * 1-5", "built in"))


async def test_a_schedule_that_was_paused_goes_on_at_its_next_due_time(evergrant: Command, database: Database) -> None:
    await evergrant(*ADD, "--sync", "--yes")
    assert (await evergrant("schedules", "pause", "nightly")).err == "Schedule nightly is paused."
    assert (await evergrant("schedules", "pause", "nightly")).err == "Schedule nightly is paused already."
    [paused, _] = (await evergrant("schedules", "list", "--json")).data
    assert (paused["state"], paused["next_at"]) == ("paused", None)
    await missed(database)

    resumed = await evergrant("schedules", "resume", "nightly")

    [schedule] = await rows(database, Schedule)
    assert schedule.paused_at is None
    assert schedule.next_at > datetime.now(UTC)
    assert resumed.err.startswith("Schedule nightly fires next at ")


async def missed(database: Database) -> None:
    """Let the schedule have been due long ago."""
    async with database.writing() as session:
        for schedule in await session.scalars(select(Schedule)):
            schedule.next_at = datetime.now(UTC) - timedelta(days=3)


async def test_resuming_what_is_not_paused_loses_nothing(evergrant: Command, database: Database) -> None:
    await evergrant(*ADD, "--sync", "--yes")
    await missed(database)
    assert (await evergrant("schedules", "resume", "nightly")).code == 0
    [schedule] = await rows(database, Schedule)
    assert schedule.next_at < datetime.now(UTC)


async def test_what_is_run_now_prints_its_id_and_moves_nothing(evergrant: Command, database: Database) -> None:
    await evergrant(*ADD, "--sync", "--yes")
    [before] = await rows(database, Schedule)
    ids = [(await evergrant("schedules", "run-now", "nightly")).out.strip() for _ in range(2)]
    fired = await rows(database, Event)
    assert [(str(event.id), event.kind, event.source) for event in fired] == [(id, SYNC_REQUESTED, "cli") for id in ids]
    assert await rows(database, Schedule) == [before]


async def test_a_campaign_is_not_run_now_while_the_last_one_runs(evergrant: Command, database: Database) -> None:
    await evergrant(*EXPIRED_ONES, "--yes")
    first = await evergrant("schedules", "run-now", "nightly")
    [campaign] = await rows(database, Campaign)
    assert (first.code, first.out.strip(), campaign.source) == (0, str(campaign.id), "cli")
    again = await evergrant("schedules", "run-now", "nightly")
    assert (again.code, again.out) == (1, "")
    assert "Nothing was asked for: the campaign of " in again.err
    assert again.err.endswith(" still runs.")
    async with database.writing() as session:
        (await session.get_one(Campaign, campaign.id)).status = CampaignStatus.FINISHED
    assert (await evergrant("schedules", "run-now", "nightly")).code == 0


async def test_one_schedule_is_shown_with_what_came_of_it(evergrant: Command, database: Database) -> None:
    await evergrant(*EXPIRED_ONES, "--yes")
    ran = (await evergrant("schedules", "run-now", "nightly")).out.strip()
    shown, table = (
        (await evergrant("schedules", "show", "nightly", "--json")).data,
        await evergrant("schedules", "show", "nightly"),
    )
    assert shown["request"] == {"filter": {"status": "expired"}}
    assert len(shown["coming"]) == 5
    assert all(due["local"].endswith((" 03:00+01:00", " 03:00+02:00")) for due in shown["coming"])
    [firing] = shown["firings"]
    assert (firing["id"], firing["what"], firing["due_at"]) == (ran, "campaign", None)
    assert ran in table.out


async def test_a_firing_that_came_late_is_shown_as_late_after_it_is_done(
    evergrant: Command, database: Database
) -> None:
    await evergrant(*ADD, "--sync", "--yes")
    event_id = (await evergrant("schedules", "run-now", "nightly")).out.strip()
    async with database.writing() as session:
        event = await session.get_one(Event, UUID(event_id))
        event.occurred_at = event.received_at - timedelta(hours=3)
        close(event, Outcome.DONE, now=event.received_at, reason="5 listed")
    [firing] = (await evergrant("schedules", "show", "nightly", "--json")).data["firings"]
    assert firing["reason"].startswith("5 listed; late by 3 h: it was due at ")
    assert firing["outcome"] == "done"


@pytest.mark.parametrize("command", ["show", "pause", "resume", "run-now", "remove"])
async def test_a_schedule_that_is_not_there_is_said(evergrant: Command, command: str) -> None:
    said = await evergrant("schedules", command, "nobody")
    assert (said.code, said.out) == (1, "")
    assert "No schedule has the name 'nobody'." in said.err
