"""The commands that show campaigns, watch and steer them, and write out what came of each item."""

import asyncio
import csv
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import typer

from ingress.campaigns import watch
from models import Campaign, CampaignItem, CampaignStatus, Outcome, Way
from models.database import Database
from simulator import Running
from tasks.campaigns.asking import ASKED
from tests.campaigning import ACCOUNT, campaigns, imported, inside, items, work
from tests.front import only_sqlite, told
from tests.in_process import Command
from tests.stories import seed

pytestmark = only_sqlite
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def evergrant(tmp_path: Path, database_url: str, database: Database, sim: Running) -> Command:
    """The command, for an installation of the test's own; nobody works for it."""
    return Command(told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url))


async def started(evergrant: Command) -> str:
    """Start a campaign over all grants; return its id."""
    return (await evergrant("reauth", "--yes", "--no-wait")).out.strip()


@pytest.fixture
async def mixed(evergrant: Command, sim: Running) -> str:
    """A campaign that has finished: three done, two failed for one cause, one skipped."""
    seed(sim, 3, credential_id=ACCOUNT)
    seed(sim, 2, credential_id="broken")
    await imported(evergrant, sim, 1)
    sim.state.broken_credentials.add("broken")
    campaign_id = await started(evergrant)
    await work(evergrant)
    return campaign_id


async def test_show_tells_the_counts_and_why_what_failed(evergrant: Command, mixed: str) -> None:
    shown, as_text = await evergrant("campaigns", "show", mixed, "--json"), await evergrant("campaigns", "show", mixed)
    data = shown.data
    assert (data["status"], data["total"], data["ended"], data["failed"], data["left"]) == ("finished", 6, 6, 2, 0)
    assert data["outcomes"] == {"done": 3, "failed": 2, "skipped": 1}
    assert (data["filter"], data["actor"], data["seconds_left"]) == ({}, "an admin", None)
    [failing] = data["failures"]
    assert (failing["cause"], failing["items"], bool(failing["request_id"])) == ("invalid_grant: Bad Request", 2, True)
    assert [one["items"] for one in data["skipped"]] == [1]
    assert failing["request_id"] in as_text.out
    assert "only its user can sign in again" in as_text.out


async def test_campaigns_are_listed_the_newest_first(evergrant: Command, mixed: str) -> None:
    newer = await started(evergrant)
    rows = (await evergrant("campaigns", "list", "--json")).data
    assert [(row["campaign_id"], row["status"], row["ended"], row["failed"]) for row in rows] == [
        (newer, "planned", 0, 0),
        (mixed, "finished", 6, 2),
    ]
    only = (await evergrant("campaigns", "list", "--status", "finished", "--json")).data
    assert [row["campaign_id"] for row in only] == [mixed]
    assert mixed in (await evergrant("campaigns", "list")).out
    assert (await evergrant("campaigns", "list", "--status", "done")).code == 2


async def test_an_id_may_be_shortened_as_long_as_it_names_one(
    evergrant: Command, mixed: str, database: Database
) -> None:
    [row] = await campaigns(database)
    twin = UUID(int=row.id.int ^ 1)
    async with database.writing() as session:
        session.add(
            Campaign(
                id=twin, application_id=row.application_id, status=CampaignStatus.FINISHED, created_at=row.created_at
            )
        )
    assert (await evergrant("campaigns", "show", mixed, "--json")).data["campaign_id"] == mixed
    for name, code, because in (
        (mixed[:13], 1, f"begins the ids of several campaigns: {', '.join(sorted([mixed, str(twin)]))}"),
        (mixed[:7], 2, "nor its first 8 characters or more"),
        ("ffffffff", 1, "No campaign has the id ffffffff. (evergrant campaigns list)"),
        ("not an id", 2, "'not an id' is no id of a campaign"),
        ("-" * 20, 2, "is no id of a campaign"),
    ):
        said = await evergrant("campaigns", "show", "--", name)
        assert (said.code, because in said.err) == (code, True), said.err
    async with database.writing() as session:
        await session.delete(await session.get_one(Campaign, twin))
    assert (await evergrant("campaigns", "show", mixed[:8].upper(), "--json")).data["campaign_id"] == mixed


async def test_a_campaign_is_paused_resumed_and_cancelled_from_where_it_makes_sense(
    evergrant: Command, sim: Running, database: Database
) -> None:
    await imported(evergrant, sim, credential_id=ACCOUNT)
    campaign_id = await started(evergrant)
    early = await evergrant("campaigns", "pause", campaign_id)
    assert (early.code, "it is planned: there is nothing to pause" in early.err) == (1, True)
    sim.state.broken_credentials.add(ACCOUNT)
    await work(evergrant)
    nothing_to = await evergrant("campaigns", "resume", campaign_id)
    assert (nothing_to.code, "it is finished: there is nothing to resume" in nothing_to.err) == (1, True)

    again = await evergrant("campaigns", "retry", campaign_id)
    assert (again.code, again.err) == (0, "3 that failed are tried again.")
    paused = await evergrant("campaigns", "pause", campaign_id)
    resumed = await evergrant("campaigns", "resume", campaign_id)
    unasked = await evergrant("campaigns", "cancel", campaign_id)
    cancelled = await evergrant("campaigns", "cancel", campaign_id, "--yes")

    assert (paused.code, resumed.code, unasked.code, cancelled.code) == (0, 0, 2, 0)
    [campaign] = await campaigns(database)
    assert (campaign.status, campaign.reason) == (CampaignStatus.CANCELLED, "cancelled by an admin")
    assert {item.outcome for item in await items(database)} == {Outcome.CANCELLED}
    assert (await evergrant("campaigns", "retry", campaign_id)).code == 1


async def test_only_what_failed_is_tried_again_and_nothing_is_said_to_be(evergrant: Command, mixed: str) -> None:
    assert "2 that failed are tried again." in (await evergrant("campaigns", "retry", mixed)).err
    none = await evergrant("campaigns", "retry", mixed)
    assert (none.code, "failed that could be tried again" in none.err) == (1, True)


async def test_every_item_is_written_out_as_csv_and_as_json_lines(
    evergrant: Command, mixed: str, tmp_path: Path, database: Database
) -> None:
    as_csv = await evergrant("campaigns", "export", mixed)
    rows = list(csv.DictReader(as_csv.out.splitlines()))
    assert [row["outcome"] for row in rows] == [item.outcome for item in await items(database)]
    assert all(row["email"].endswith("@example.com") and row["provider"] == "google" for row in rows)

    file = tmp_path / "items.jsonl"
    said = await evergrant("campaigns", "export", mixed, "--format", "jsonl", "--output", str(file))
    assert (said.code, said.out, said.err) == (0, "", "6 items.")
    assert [json.loads(line)["grant_id"] for line in file.read_text().splitlines()] == [row["grant_id"] for row in rows]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [name for name in os.listdir(tmp_path) if name.startswith(".items")] == []

    nowhere = await evergrant("campaigns", "export", mixed, "--output", str(tmp_path / "no" / "file"))
    assert (nowhere.code, "can't be written: No such file or directory" in nowhere.err) == (1, True)
    assert (await evergrant("campaigns", "export", mixed, "--format", "xml")).code == 2


async def test_no_cell_is_a_formula_and_pages_follow_on_each_other(
    evergrant: Command, mixed: str, database: Database
) -> None:
    rows = [
        CampaignItem(
            campaign_id=UUID(mixed), email="=cmd@example.com", way=Way.CREDENTIAL, due_at=NOW, line=line, attempts=1
        )
        for line in range(1, 2_101)
    ]
    async with database.writing() as session:
        session.add_all(rows)
    said = await evergrant("campaigns", "export", mixed)
    written = list(csv.DictReader(said.out.splitlines()))
    assert len(written) == 2_106
    assert sorted(int(row["line"]) for row in written if row["line"]) == list(range(1, 2_101))
    assert {row["email"] for row in written if row["line"]} == {"'=cmd@example.com"}


async def test_whoever_stops_watching_stops_nothing_else(
    evergrant: Command, sim: Running, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await imported(evergrant, sim, credential_id=ACCOUNT)
    campaign_id = await started(evergrant)
    async with inside(evergrant) as runtime:
        watching = asyncio.create_task(watch(runtime.context, UUID(campaign_id)))
        await asyncio.sleep(0)
        watching.cancel()
        with pytest.raises(typer.Exit) as ended:
            await watching
    assert ended.value.exit_code == 130
    [campaign] = await campaigns(database)
    assert campaign.status is CampaignStatus.PLANNED


async def test_watching_ends_when_only_users_are_waited_for(
    evergrant: Command, sim: Running, database: Database
) -> None:
    await imported(evergrant, sim, 2)
    assert (await evergrant("reauth", "--ask-users", "--yes", "--no-wait")).code == 0
    await work(evergrant)
    assert {item.cause for item in await items(database)} == {ASKED}
    [campaign] = await campaigns(database)
    async with inside(evergrant) as runtime:
        standing = await watch(runtime.context, campaign.id)
    assert (standing.status, standing.waiting, standing.left) == (CampaignStatus.RUNNING, 2, 0)
    assert standing.in_words() == "0 of 2: 2 wait for their users"
