"""`evergrant incidents` and `evergrant brake`: what is wrong for many at once, and a human who says that it is over."""

from pathlib import Path

import pytest
from sqlalchemy import update

from lifecycle.brake import Braked
from models import HeldBy, Incident, NoticeKind, Outcome
from models.columns import new_id
from nylas_api import KeyRejected
from simulator import Running
from tasks.api_key import key_refused
from tasks.brakes import put_on
from tasks.context import Context
from tests.conftest import SetClock
from tests.failing_together import ACCOUNT, fail, held, notices, probes, second_looks, the_incident, told_of, work_again
from tests.front import only_sqlite, told
from tests.in_process import Command
from tests.stories import known

pytestmark = only_sqlite


@pytest.fixture
def evergrant(ctx: Context, sim: Running, tmp_path: Path, database_url: str) -> Command:
    """The command, on the database of the test."""
    return Command(told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url))


@pytest.fixture
async def failed(ctx: Context, sim: Running, clock: SetClock) -> list[str]:
    """Twenty grants of one service account that failed together half an hour ago; the first four are confirmed."""
    clock.forward(minutes=-40)
    ids = await known(ctx, sim, 20, credential_id=ACCOUNT)
    await known(ctx, sim, 100)
    clock.forward(minutes=1)
    sim.state.broken_credentials.add(ACCOUNT)
    await fail(ctx, sim, *ids[:4])
    clock.forward(minutes=2)
    await second_looks(ctx)
    await fail(ctx, sim, *ids[4:])
    return ids


async def test_an_incident_is_listed_and_shown(
    evergrant: Command, ctx: Context, clock: SetClock, failed: list[str]
) -> None:
    await probes(ctx, clock)
    incident = await the_incident(ctx)

    [listed] = (await evergrant("incidents", "list", "--json")).data
    shown = (await evergrant("incidents", "show", str(incident.id), "--json")).data
    table, one = await evergrant("incidents", "list"), await evergrant("incidents", "show", str(incident.id))

    assert (listed["scope"], listed["subject"], listed["state"], listed["grants"]) == (
        "credential",
        ACCOUNT,
        "open",
        20,
    )
    assert {name: shown[name] for name in listed} == listed
    assert (shown["recovered"], shown["still_failing"], shown["canary"] in failed) == (0, 20, True)
    assert shown["said"].startswith("its canary is still invalid")
    assert shown["next_look"] > shown["looked_at"]
    for said in (table, one):
        assert said.code == 0
        # As many as had when it was opened, by the first eight of the sixteen that expired together.
        assert "12 grants of the credential service-account expired within 10 minutes" in said.out


async def test_where_nothing_is_wrong_that_is_said(evergrant: Command) -> None:
    none, table = await evergrant("incidents", "list", "--json"), await evergrant("incidents", "list")
    assert none.data == []
    assert (table.code, table.out, table.err) == (0, "", "No incident is open.")


async def test_a_close_looks_at_each_grant_once_more_before_anybody_is_told(
    evergrant: Command, ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    clock.forward(minutes=60)
    incident = await the_incident(ctx)
    work_again(sim, *failed[:5])

    said = await evergrant("incidents", "close", str(incident.id))

    assert (said.code, said.out, said.err) == (0, "", "Closed.")
    assert await told_of(ctx, NoticeKind.EXPIRED) == set()
    assert (await the_incident(ctx)).reason == "closed by an admin: its grants are looked at again"
    await second_looks(ctx)
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(failed[5:])
    assert await told_of(ctx, NoticeKind.REAUTH_REQUIRED) == set(failed[5:])
    assert await held(ctx) == {}


async def test_a_release_tells_what_was_confirmed_and_no_more(
    evergrant: Command, ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    clock.forward(minutes=60)
    said = await evergrant("incidents", "close", str((await the_incident(ctx)).id), "--release")
    assert said.code == 0
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(failed[:4])
    assert await told_of(ctx, NoticeKind.REAUTH_REQUIRED) == set(failed[:4])
    assert await held(ctx) == {HeldBy.CONFIRMATION: 16}
    await second_looks(ctx)
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(failed)


async def test_what_is_withdrawn_is_never_told(
    evergrant: Command, ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    clock.forward(minutes=60)
    said = await evergrant("incidents", "close", str((await the_incident(ctx)).id), "--withdraw")
    assert said.code == 0
    clock.forward(days=30)
    await second_looks(ctx)
    expiries = await notices(ctx, NoticeKind.EXPIRED)
    assert {(one.outcome, one.reason) for one in expiries} == {
        (Outcome.SKIPPED, "closed by an admin, who withdrew its notices")
    }
    [closed] = await notices(ctx, NoticeKind.INCIDENT_CLOSED)
    assert (closed.data["recovered"], closed.data["still_failing"]) == (0, 20)

    [listed] = (await evergrant("incidents", "list", "--all", "--json")).data
    assert (listed["state"], listed["held"]) == ("closed", 0)
    again = await evergrant("incidents", "close", listed["incident_id"])
    assert (again.code, again.err) == (1, "It is closed already.")


async def test_one_that_was_set_aside_is_listed_and_can_be_closed(
    evergrant: Command, ctx: Context, clock: SetClock, failed: list[str]
) -> None:
    async with ctx.database.writing() as session:
        await session.execute(update(Incident).values(settled_at=clock(), outcome=Outcome.SET_ASIDE, reason="crashed"))
    [listed] = (await evergrant("incidents", "list", "--json")).data
    assert (listed["state"], listed["held"] >= 20) == ("set aside", True)
    assert (await evergrant("incidents", "close", listed["incident_id"], "--withdraw")).code == 0
    assert (await held(ctx))[HeldBy.INCIDENT] == 0


async def test_what_can_not_be_is_refused(evergrant: Command, ctx: Context) -> None:
    async with ctx.database.writing() as session:
        await put_on(ctx, session, Braked.FLIPS, now=ctx.now())
    brake = str((await the_incident(ctx)).id)
    both, unknown, no_id, a_brake = (
        await evergrant("incidents", "close", brake, "--release", "--withdraw"),
        await evergrant("incidents", "show", str(new_id())),
        await evergrant("incidents", "show", "7"),
        await evergrant("incidents", "close", brake),
    )
    assert (both.code, "not both" in both.err) == (2, True)
    assert (unknown.code, "There is no incident" in unknown.err) == (1, True)
    assert no_id.code == 2
    assert (a_brake.code, "evergrant brake release flips" in a_brake.err) == (2, True)


async def test_the_incident_of_the_key_holds_nothing_and_can_be_closed(evergrant: Command, ctx: Context) -> None:
    await key_refused(ctx, KeyRejected("Nylas answered 401"))
    incident_id = str((await the_incident(ctx)).id)
    released = await evergrant("incidents", "close", incident_id, "--release")
    assert (released.code, "nothing to release" in released.err) == (2, True)
    assert (await evergrant("incidents", "close", incident_id)).code == 0
    assert (await evergrant("incidents", "list", "--json")).data == []


async def test_brakes_are_shown_and_released(evergrant: Command, ctx: Context) -> None:
    async with ctx.database.writing() as session:
        await put_on(ctx, session, Braked.DELETIONS, now=ctx.now())

    shown = (await evergrant("brake", "status", "--json", BRAKE_NOTICES="0", BRAKE_FLIPS="7")).data
    table = await evergrant("brake", "status")
    released, again, unknown = (
        await evergrant("brake", "release", "deletions"),
        await evergrant("brake", "release", "deletions"),
        await evergrant("brake", "release", "everything"),
    )

    assert [(row["kind"], row["limit"], bool(row["on_since"])) for row in shown] == [
        ("flips", 7, False),
        ("notices", None, False),
        ("deletions", 100, True),
    ]
    assert (table.code, "deletions" in table.out) == (0, True)
    assert (released.code, released.err) == (0, "Released: 0 deletions that waited go on.")
    assert (again.code, again.err) == (0, "The brake on deletions is not on.")
    assert unknown.code == 2
    assert (await the_incident(ctx)).reason == "released by an admin"
