"""The commands by which an admin gives links to users, and decides about accounts that came in another's place."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from models import Grant, HeldBy, Notice, NoticeKind, ReauthLink
from models.database import Database
from simulator import Running
from tests.front import WEB, only_sqlite, told
from tests.in_process import Command
from tests.stories import at_nylas, fails, seed

pytestmark = only_sqlite
NEVER = "6e5e2a7c-0000-4000-8000-000000000000"


@pytest.fixture
def evergrant(tmp_path: Path, database_url: str, database: Database, sim: Running) -> Command:
    """The command, for an installation of the test's own."""
    return Command(told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url))


async def imported(evergrant: Command, sim: Running, number: int = 1, **how: Any) -> list[str]:
    """Let Nylas have so many grants, and import them."""
    ids = seed(sim, number, **how)
    assert (await evergrant("sync")).code == 0
    return ids


async def test_a_link_is_printed_once_and_listed_without_its_address(
    evergrant: Command, sim: Running, database: Database
) -> None:
    [grant_id] = await imported(evergrant, sim, status="invalid")
    email = str(at_nylas(sim, grant_id).email)

    given = await evergrant("grants", "link", email.upper())

    assert given.code == 0
    [url] = given.out.splitlines()
    assert url.startswith(f"{WEB}/reauth/")
    assert f"For {email} (google) alone" in given.err
    assert url not in given.err
    [row] = (await evergrant("links", "list", "--json")).data
    assert (row["grant_id"], row["email"], row["status"], row["created_by"]) == (grant_id, email, "open", "cli")
    listed = await evergrant("links", "list", "--grant", grant_id)
    assert row["link_id"] in listed.out
    assert url.rpartition("/")[2] not in listed.out + str(row)


async def test_a_link_lives_as_the_setting_has_it_and_no_longer_than_a_day(
    evergrant: Command, sim: Running, database: Database
) -> None:
    [grant_id] = await imported(evergrant, sim)
    assert (await evergrant("grants", "link", grant_id, LINK_HOURS="0.5")).code == 0
    async with database.reading() as session:
        [link] = await session.scalars(select(ReauthLink))
    assert (link.expires_at - link.created_at).total_seconds() == 1800
    for hours in ("25", "0", "-1", "nan", "a day"):
        refused = await evergrant("grants", "link", grant_id, LINK_HOURS=hours)
        assert (refused.code, refused.out) == (2, "")
        assert "EVERGRANT_LINK_HOURS" in refused.err


async def test_renewing_a_grant_that_only_its_user_can_renew_prints_a_link(
    evergrant: Command, sim: Running, database: Database
) -> None:
    """Also one that carries the connector's own OAuth client as its credential."""
    plain, by_client = await imported(evergrant, sim, 2, status="invalid")
    connector = sim.state.connectors.by_provider["google"]
    async with database.writing() as session:
        client = update(Grant).where(col(Grant.id) == by_client).values(credential_id=connector.active_credential_id)
        await session.execute(client)
    for grant_id in (plain, by_client):
        said = await evergrant("grants", "reauth", grant_id)
        assert said.code == 0
        assert said.out.startswith(f"{WEB}/reauth/")


@pytest.mark.parametrize("change", [{"status": "deleted"}, {"provider": "virtual-calendar"}])
async def test_no_link_is_given_for_what_no_user_can_renew(
    evergrant: Command, sim: Running, database: Database, change: dict[str, str]
) -> None:
    [grant_id] = await imported(evergrant, sim)
    async with database.writing() as session:
        await session.execute(update(Grant).values(change))
    said = await evergrant("grants", "link", grant_id)
    assert (said.code, said.out) == (1, "")
    assert f"There can be no link for grant {grant_id}" in said.err


async def test_links_are_revoked_one_by_one_or_all_of_a_grant(evergrant: Command, sim: Running) -> None:
    one, two = await imported(evergrant, sim, 2)
    for grant_id in (one, one, one, two):
        assert (await evergrant("grants", "link", grant_id)).code == 0
    first = (await evergrant("links", "list", "--grant", one, "--json")).data[-1]["link_id"]

    assert (await evergrant("links", "revoke", first)).err == "Revoked."
    again = await evergrant("links", "revoke", first)
    assert (again.code, again.err) == (1, "Nothing to revoke: spent or revoked already.")
    assert (await evergrant("links", "revoke", "--grant", one)).err == "Revoked 2 links."

    rows = (await evergrant("links", "list", "--json")).data
    assert [(row["grant_id"], row["status"]) for row in rows] == [(two, "open"), *[(one, "revoked")] * 3]


async def test_what_cannot_be_revoked_is_said(evergrant: Command, sim: Running) -> None:
    [grant_id] = await imported(evergrant, sim)
    for arguments, code, because in (
        ((), 2, "Name either one link by its id, or --grant"),
        ((NEVER, "--grant", grant_id), 2, "Name either one link by its id, or --grant"),
        (("x",), 2, "'x' is no id of a link"),
        ((NEVER,), 1, f"There is no link {NEVER}"),
        (("--grant", grant_id), 1, "The grant has no links."),
        (("--grant", "nobody@example.com"), 1, "No grant has the id or the email address"),
    ):
        said = await evergrant("links", "revoke", *arguments)
        assert (said.code, because in said.err) == (code, True), said.err


async def test_a_quarantined_grant_is_listed_and_released_when_an_admin_agrees(
    evergrant: Command, sim: Running, database: Database
) -> None:
    apart, free = await imported(evergrant, sim, 2)
    because = "it came of a sign-in for the grant x: the email address is another one"
    await put_apart(database, apart, because)

    [row] = (await evergrant("grants", "quarantined", "--json")).data
    assert (row["grant_id"], row["quarantined"]) == (apart, because)
    assert because in (await evergrant("grants", "quarantined")).out
    unasked = await evergrant("grants", "release", apart)
    assert unasked.code == 2
    assert f"is in quarantine: {because}. By Nylas it is now of {at_nylas(sim, apart).email} (google)." in unasked.err

    assert (await evergrant("grants", "release", apart, "--yes")).err.endswith("Released.")

    assert (await evergrant("grants", "quarantined", "--json")).data == []
    async with database.reading() as session:
        [notice] = await session.scalars(select(Notice).where(col(Notice.grant_id) == apart))
    assert notice.held_by is None
    for grant_id in (apart, free):
        said = await evergrant("grants", "release", grant_id, "--yes")
        assert (said.code, "is not in quarantine" in said.err) == (1, True)


async def put_apart(database: Database, grant_id: str, because: str) -> None:
    """Quarantine a grant of which the product was to be told."""
    async with database.writing() as session:
        grant = await session.get_one(Grant, grant_id)
        grant.quarantined = because
        notice = Notice(
            application_id=grant.application_id,
            kind=NoticeKind.VALID,
            grant_id=grant_id,
            occurred_at=grant.as_of,
            created_at=grant.as_of,
            due_at=grant.as_of,
            held_by=HeldBy.QUARANTINE,
        )
        session.add(notice)


async def test_nothing_is_released_that_nylas_cannot_be_asked_about(
    evergrant: Command, sim: Running, database: Database
) -> None:
    [grant_id] = await imported(evergrant, sim)
    await put_apart(database, grant_id, "because")
    await fails(sim, "/v3/grants/*", status=400)

    said = await evergrant("grants", "release", grant_id, "--yes")

    assert (said.code, "so it stays in quarantine" in said.err) == (1, True)
    assert len((await evergrant("grants", "quarantined", "--json")).data) == 1
