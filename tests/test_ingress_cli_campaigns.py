"""The command that starts campaigns: whom it chooses, what it says before, and what a list becomes."""

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import update
from sqlmodel import col

from ingress import reauth_by_list
from models import Campaign, CampaignStatus, Grant, GrantTag, Outcome, Way
from models.database import Database
from simulator import Running
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.unread import give_up_list
from tests.campaigning import ACCOUNT, campaigns, imported, inside, items, work
from tests.front import only_sqlite, told
from tests.in_process import Command
from tests.stories import at_nylas, seed
from worker.runtime import Runtime

pytestmark = only_sqlite


@pytest.fixture
def evergrant(tmp_path: Path, database_url: str, database: Database, sim: Running) -> Command:
    """The command, for an installation of the test's own; nobody works for it."""
    return Command(told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url, NYLAS_RATE="10"))


async def test_a_dry_run_says_how_many_by_what_way_how_long_and_what_cannot_be(
    evergrant: Command, sim: Running, database: Database
) -> None:
    seed(sim, 20, credential_id=ACCOUNT)
    await imported(evergrant, sim, 5)

    said = await evergrant("reauth", "--dry-run", "--rate", "4")
    asked = await evergrant("reauth", "--dry-run", "--ask-users")

    assert (said.code, said.out) == (0, "")
    assert "25 grants match: 20 by their credential, in about 5 s at 4 calls a second." in said.err
    assert "5 are skipped: they have no credential: only their users can sign in again." in said.err
    assert "20 by their credential, 5 by a link for their users, in about 2 s at 10 calls" in asked.err
    assert await campaigns(database) == []


async def test_every_option_chooses(evergrant: Command, sim: Running, database: Database) -> None:
    ids = await imported(evergrant, sim, 4, credential_id=ACCOUNT)
    async with database.writing() as session:
        grant = await session.get_one(Grant, ids[0])
        await session.execute(update(Grant).where(col(Grant.id) == grant.id).values(email="ada@Other.example"))
        session.add(GrantTag(grant_id=ids[1], tag="vip", created_at=grant.as_of))
    for options, number in (
        ((), 4),
        (("--email-domain", "OTHER.example"), 1),
        (("--tag", "vip"), 1),
        (("--credential", ACCOUNT), 4),
        (("--provider", "microsoft"), 0),
        (("--status", "expired"), 0),
        (("--hours-left", "12"), 0),
        (("--expired-since", "2026-01-01"), 0),
        (("--expired-before", "2026-01-01T10:00+01:00"), 0),
    ):
        said = await evergrant("reauth", *options, "--dry-run")
        assert (said.code, f"{number} grants match" in said.err) == (0, True), (options, said.err)


@pytest.mark.parametrize(
    ("options", "because"),
    [
        (("--rate", "0"), "--rate: Input should be greater than 0"),
        (("--rate", "nan"), "--rate: "),
        (("--max-failures", "some"), "--max-failures: 'some' is neither a share of up to 100% (5%) nor a number"),
        (("--expired-since", "yesterday"), "--expired-since: a time such as 2026-03-01"),
        (("--hours-left", "73"), "--hours-left: Input should be less than or equal to 72"),
        (("--tag", "a b"), "--tag: "),
        (("--email-domain", "a%"), "--email-domain: "),
        (("--credential", "a\x00b"), "--credential: "),
        (("--list", "x.csv", "--provider", "google"), "--list names the grants: leave --provider out."),
        (("--list", "nowhere.csv"), "nowhere.csv can't be read: No such file or directory"),
        (("--list", "-"), "What comes on stdin can be read only once: say --dry-run, or --yes"),
    ],
)
async def test_an_option_that_cannot_be_right_is_named(
    evergrant: Command, options: tuple[str, ...], because: str
) -> None:
    said = await evergrant("reauth", *options)
    assert (said.code, said.out, because in said.err) == (2, "", True), said.err


async def test_the_manner_stands_in_the_row(evergrant: Command, sim: Running, database: Database) -> None:
    await imported(evergrant, sim)
    manner = ("--rate", "2.5", "--max-failures", "5%", "--ask-users")

    said = await evergrant("reauth", "--status", "valid", *manner, "--yes", "--no-wait")

    [campaign] = await campaigns(database)
    assert said.out.strip() == str(campaign.id)
    assert (campaign.rate, campaign.max_failures, campaign.ask_users) == (2.5, "5%", True)
    assert (campaign.filter, campaign.source) == ({"status": "valid"}, "cli")


async def test_what_is_logged_as_a_command_ends_does_not_stand_beside_the_id_that_a_script_reads(
    evergrant: Command, sim: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the doorbell's thread does, when Redis was away for longer than it is waited for."""
    await imported(evergrant, sim)
    assert (await evergrant("reauth", "--yes", "--no-wait")).code == 0

    structlog.get_logger().warning("doorbell.failed")

    said = capsys.readouterr()
    assert ("doorbell.failed" in said.out, "doorbell.failed" in said.err) == (False, True)


async def test_a_list_becomes_a_campaign_and_its_bad_lines_are_told(
    evergrant: Command, sim: Running, database: Database, tmp_path: Path
) -> None:
    one, two, _ = await imported(evergrant, sim, credential_id=ACCOUNT)
    file = tmp_path / "list.csv"
    file.write_text(f"grant_id,email\n{one},\nnobody,\n,\n,{at_nylas(sim, two).email}\n{one},\n")

    planned = await evergrant("reauth", "--list", str(file), "--dry-run")
    assert await campaigns(database) == []
    started = await evergrant("reauth", "--list", str(file), "--yes", "--no-wait")

    assert "2 grants match: 2 by their credential" in planned.err
    for said in (planned, started):
        assert said.code == 1, "some lines are left out"
        assert "line 3: no grant of ours has this id" in said.err
        assert "line 4: it names neither a grant (grant_id) nor a mailbox (email)" in said.err
        assert "line 6: it names the same grant as line 2" in said.err
        assert "3 lines are left out." in said.err
    [campaign] = await campaigns(database)
    assert (started.out.strip(), campaign.filter) == (str(campaign.id), {"list": True})
    assert {item.grant_id for item in await items(database)} == {one, two}
    await work(evergrant)
    assert {item.outcome for item in await items(database)} == {Outcome.DONE}
    assert [campaign.status for campaign in await campaigns(database)] == [CampaignStatus.FINISHED]


async def test_a_list_comes_by_stdin_as_well(evergrant: Command, sim: Running, database: Database) -> None:
    [one] = await imported(evergrant, sim, 1, credential_id=ACCOUNT)
    said = await evergrant("reauth", "--list", "-", "--yes", "--no-wait", stdin=json.dumps({"grant_id": one}))
    assert said.code == 0, said.err
    assert [item.grant_id for item in await items(database)] == [one]


async def test_what_another_campaign_has_is_counted_as_skipped(
    evergrant: Command, sim: Running, tmp_path: Path
) -> None:
    [one] = await imported(evergrant, sim, 1, credential_id=ACCOUNT)
    file = tmp_path / "list.csv"
    file.write_text(f"grant_id\n{one}\n")
    assert (await evergrant("reauth", "--list", str(file), "--yes", "--no-wait")).code == 0
    said = await evergrant("reauth", "--list", str(file), "--dry-run")
    assert "1 are skipped: they are in another campaign that runs." in said.err


async def test_secrets_of_a_list_are_sealed_and_never_shown(
    evergrant: Command, sim: Running, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "list.jsonl"
    file.write_text(json.dumps({"email": "a@example.com", "provider": "google", "refresh_token": "1//HIDDEN"}))
    file.chmod(0o644)

    started = await evergrant("reauth", "--list", str(file), "--yes", "--no-wait")
    exported = await evergrant("campaigns", "export", started.out.strip(), "--format", "jsonl")
    shown = await evergrant("campaigns", "show", started.out.strip(), "--json")

    assert started.code == 0, started.err
    assert "holds secrets, and others on this machine can read it" in started.err
    [item] = await items(database)
    assert (item.way, str(item.secret).startswith("eg1.")) == (Way.REFRESH, True)
    for said in (started, exported, shown):
        assert "HIDDEN" not in said.out + said.err
        assert "eg1." not in said.out


async def test_a_list_without_a_good_line_is_no_campaign_that_runs(
    evergrant: Command, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text("grant_id\nnobody\n")
    said = await evergrant("reauth", "--list", str(file), "--yes")
    assert (said.code, said.out) == (1, "")
    assert "has no line that a campaign can be for." in said.err
    assert [campaign.status for campaign in await campaigns(database)] == [CampaignStatus.CANCELLED]


async def test_a_list_that_is_not_read_to_its_end_gives_its_grants_free(
    evergrant: Command, sim: Running, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = await imported(evergrant, sim, 1, credential_id=ACCOUNT)
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["grant_id", one, *(f"nobody-{number}" for number in range(1_200))]))
    write, parts = reauth_by_list.write_listed, iter([True, False])

    async def interrupted(*args: object, **more: object) -> object:
        if next(parts):
            return await write(*args, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(reauth_by_list, "write_listed", interrupted)
    async with inside(evergrant) as runtime:
        with pytest.raises(KeyboardInterrupt):
            await reauth_by_list.by_list(runtime, str(file), CampaignRequest(), dry_run=False, yes=True)

    [item] = await items(database)
    assert (item.grant_id, item.outcome) == (one, Outcome.CANCELLED)
    assert [campaign.status for campaign in await campaigns(database)] == [CampaignStatus.CANCELLED]


async def test_a_list_whose_campaign_was_given_up_meanwhile_is_told_so(
    evergrant: Command, sim: Running, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = await imported(evergrant, sim, 1, credential_id=ACCOUNT)
    file = tmp_path / "list.csv"
    file.write_text(f"grant_id\n{one}\n")
    read = reauth_by_list._write_lines

    async def too_slowly(runtime: Runtime, campaign: Campaign, *args: Any, **more: Any) -> object:
        lines = await read(runtime, campaign, *args, **more)
        await give_up_list(runtime.context, campaign.id)
        return lines

    monkeypatch.setattr(reauth_by_list, "_write_lines", too_slowly)
    said = await evergrant("reauth", "--list", str(file), "--yes")

    assert (said.code, said.out) == (1, "")
    assert "was given up while its list was read" in said.err
    [item] = await items(database)
    assert (item.grant_id, item.outcome) == (one, Outcome.CANCELLED)
    assert [campaign.status for campaign in await campaigns(database)] == [CampaignStatus.CANCELLED]
