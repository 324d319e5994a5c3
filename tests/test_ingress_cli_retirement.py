"""`evergrant retire`: what is to be deleted is shown, asked for, and reported."""

from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from models import Application, Grant, Outcome, RetirementItem
from models.claims import close
from models.columns import new_id
from models.database import Database
from models.sealing import Keyring
from simulator import Running
from tests.conftest import API_KEY, CLIENT_ID
from tests.in_process import Command
from tests.installed import evergrant, migrated

__all__ = ["evergrant", "migrated"]

ON = {"RETIRE_AFTER_DAYS": "90", "PRICE_PER_GRANT": "1.50"}
LONG_AGO = datetime.now(UTC) - timedelta(days=91)


def expired(application_id: UUID, grant_id: str, at: datetime) -> Grant:
    return Grant(
        id=grant_id,
        application_id=application_id,
        provider="google",
        email=f"{grant_id}@example.com",
        status="expired",
        as_of=at,
        expired_at=at,
        expiry_seen_at=at,
        confirm_at=at,
        confirmed_at=at,
        first_seen_at=at,
    )


@pytest.fixture(autouse=True)
async def database(evergrant: Command, sim: Running) -> AsyncIterator[Database]:
    """Holds three grants that died long ago, and one that died today."""
    database = Database(f"sqlite:///{evergrant.settings['DATA_DIR']}/evergrant.db")
    application = Application(
        id=new_id(), client_id=CLIENT_ID, api_uri=sim.url, api_key="", created_at=LONG_AGO, updated_at=LONG_AGO
    )
    Keyring([b64decode(evergrant.settings["SECRET_KEYS"])]).seal(application, "api_key", API_KEY)
    async with database.writing() as session:
        session.add(application)
        await session.flush()
        session.add_all(expired(application.id, name, LONG_AGO) for name in ("ada", "bob", "cyd"))
        session.add(expired(application.id, "dan", datetime.now(UTC)))
    yield database
    await database.close()


async def test_a_plan_shows_who_may_go_and_what_that_saves(evergrant: Command) -> None:
    made = await evergrant("retire", "plan", **ON, RETIRE_NEVER="bob@EXAMPLE.com,@example.org")
    assert made.code == 0
    assert "2 expired grants may be deleted; 2 stay." in made.err
    assert "1: it is on the list of those that are never deleted" in made.err
    assert "1: it was confirmed as expired less than 90 days ago" in made.err
    assert "They cost 3.00 a month, at 1.50 each." in made.err
    assert "saved from the next month on" in made.err
    assert [line.split()[0] for line in made.out.splitlines()] == ["grant_id", "ada", "cyd"]
    [listed] = (await evergrant("retire", "list", "--json", **ON)).data
    assert f"evergrant retire approve {listed['plan_id']}" in made.err
    assert (listed["status"], listed["grants"], listed["deleted"]) == ("planned", 2, 0)


async def test_a_plan_as_json_has_the_figures_and_the_list(evergrant: Command) -> None:
    made = (await evergrant("retire", "plan", "--json", "--price", "0.9", **ON)).data
    left = made.pop("days_to_month_end")
    assert 1 <= left <= 31
    assert UUID(made.pop("plan_id"))
    assert [grant["grant_id"] for grant in made["list"]] == ["ada", "bob", "cyd"]
    assert made["list"][0] == {
        "grant_id": "ada",
        "email": "ada@example.com",
        "provider": "google",
        "status": "expired",
        "expired_at": LONG_AGO.isoformat(),
        "confirmed_at": LONG_AGO.isoformat(),
    }
    del made["list"]
    assert made == {"grants": 3, "staying": 1, "after_days": 90, "price": "0.9", "cost_a_month": "2.7"}


async def test_nobody_to_retire_makes_no_plan(evergrant: Command) -> None:
    said = await evergrant("retire", "plan", "--json", RETIRE_AFTER_DAYS="365")
    assert (said.data["plan_id"], said.data["grants"], said.data["cost_a_month"]) == (None, 0, None)
    assert (await evergrant("retire", "list", "--json")).data == []


async def test_more_than_the_brake_lets_pass_in_an_hour_is_said_before(evergrant: Command) -> None:
    said = await evergrant("retire", "plan", **ON, BRAKE_DELETIONS="2")
    assert "After 2 deletions within an hour the brake goes on" in said.err
    assert "brake" not in (await evergrant("retire", "plan", **ON)).err


async def test_retirement_is_off_unless_it_is_set(evergrant: Command) -> None:
    said = await evergrant("retire", "plan")
    assert (said.code, said.out) == (2, "")
    assert "set EVERGRANT_RETIRE_AFTER_DAYS" in said.err
    assert (await evergrant("retire", "list", "--json")).data == []


@pytest.mark.parametrize("price", ["-1", "free", "NaN", "Infinity", ""])
async def test_what_is_no_price_is_refused(evergrant: Command, price: str) -> None:
    said = await evergrant("retire", "plan", "--price", price, **ON)
    assert (said.code, "that is no price, such as 1.50" in said.err) == (2, True)


@pytest.mark.parametrize(
    "setting",
    [{"RETIRE_AFTER_DAYS": "0"}, {"RETIRE_AFTER_DAYS": "soon"}, {"PRICE_PER_GRANT": "-1"}, {"PRICE_PER_GRANT": "x"}],
)
async def test_a_setting_that_makes_no_sense_is_refused(evergrant: Command, setting: dict[str, str]) -> None:
    said = await evergrant("retire", "list", **setting)
    assert said.code == 2
    assert f"EVERGRANT_{next(iter(setting))}: " in said.err


async def test_an_approval_is_asked_for_and_sets_the_plan_going_once(evergrant: Command, database: Database) -> None:
    plan_id = (await evergrant("retire", "plan", "--json", **ON)).data["plan_id"]
    asked = await evergrant("retire", "approve", plan_id, **ON)
    assert asked.code == 2
    assert "Delete 3 grants at Nylas, for good?" in asked.err
    assert (await evergrant("retire", "approve", plan_id, "--yes")).code == 2, "while it is off"

    assert (await evergrant("retire", "approve", plan_id, "--yes", **ON)).code == 0
    [listed] = (await evergrant("retire", "list", "--json")).data
    assert (listed["status"], listed["approved_by"], listed["approved_at"] is not None) == ("approved", "cli", True)
    again = await evergrant("retire", "approve", plan_id, "--yes", **ON)
    assert (again.code, "The plan is approved already." in again.err) == (1, True)

    async with database.writing() as session:
        wanted = select(RetirementItem).where(col(RetirementItem.grant_id) == "ada")
        close(
            (await session.scalars(wanted)).one(),
            Outcome.DONE,
            now=datetime.now(UTC),
            reason="deleted at Nylas",
            request_id="req-1",
        )
    shown = (await evergrant("retire", "show", plan_id, "--json")).data
    assert [(row["grant_id"], row["outcome"], row["request_id"]) for row in shown] == [
        ("ada", "done", "req-1"),
        ("bob", "open", None),
        ("cyd", "open", None),
    ]


async def test_a_plan_is_cancelled_once(evergrant: Command) -> None:
    plan_id = (await evergrant("retire", "plan", "--json", **ON)).data["plan_id"]
    dropped = await evergrant("retire", "cancel", plan_id)
    again = await evergrant("retire", "cancel", plan_id)
    assert (dropped.code, "Cancelled: 3 grants stay." in dropped.err) == (0, True)
    assert (again.code, "The plan is cancelled already." in again.err) == (1, True)
    table = await evergrant("retire", "show", plan_id)
    assert "the plan was cancelled" in table.out
    assert plan_id in (await evergrant("retire", "list")).out


@pytest.mark.parametrize("words", ["show", "approve", "cancel"])
async def test_a_plan_that_is_not_there_is_said_to_be_missing(evergrant: Command, words: str) -> None:
    said = await evergrant("retire", words, "00000000-0000-7000-8000-000000000000", **ON)
    assert (said.code, "There is no plan 00000000-" in said.err) == (1, True)
    assert (await evergrant("retire", words, "first")).code == 2
