"""The command `evergrant`, as an admin runs it: what is wrong is said at once, and data is all that stdout holds."""

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingress.priority import TURN
from models.database import Database
from models.migrations.standing import Standing, standing
from simulator import Running
from tests.front import WEB, only_sqlite, told
from tests.in_process import Command, Said
from tests.stories import at_nylas, fails, seed

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Terminal:
    """A terminal with these settings."""

    python: str
    settings: dict[str, str] = field(default_factory=dict)

    async def __call__(self, *arguments: str, **settings: str) -> Said:
        """Run `evergrant` to its end."""
        environ = {f"EVERGRANT_{name}": value for name, value in (self.settings | settings).items()}
        process = await asyncio.create_subprocess_exec(
            *(self.python, "-m", "ingress", *arguments),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert b"Traceback" not in err, err.decode()
        return Said(process.returncode or 0, out.decode(), " ".join(err.decode().split()))


@pytest.fixture
def settings(tmp_path: Path, database_url: str, sim: Running) -> dict[str, str]:
    """The settings of an installation on the database of the test."""
    return told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url)


@pytest.fixture
def terminal(python: str, settings: dict[str, str]) -> Terminal:
    """A terminal with these settings, in which each command is a process."""
    return Terminal(python, settings)


@pytest.fixture
def evergrant(settings: dict[str, str]) -> Command:
    """The same without the processes."""
    return Command(settings)


async def test_all_that_is_wrong_with_the_settings_is_said_at_once(python: str) -> None:
    wrong = {
        "NYLAS_APIKEY": "k",
        "PUBLIC_URL": "grants.example.com",
        "REDIS_URL": "http://x",
        "SECRET_KEYS": "c2hvcnQ=",
        "NYLAS_RATE": "fast",
        "DATABASE_URL": "mysql://x",
    }
    for said in (await Terminal(python, wrong)("migrate"), await Command(wrong)("grants", "list", "--json")):
        assert (said.code, said.out) == (2, "")
        assert "EVERGRANT_NYLAS_APIKEY is not a setting; did you mean EVERGRANT_NYLAS_API_KEY?" in said.err
        assert "EVERGRANT_NYLAS_API_KEY is missing" in said.err
        assert "EVERGRANT_NYLAS_CLIENT_ID is missing" in said.err
        for name in ("PUBLIC_URL", "REDIS_URL", "SECRET_KEYS", "NYLAS_RATE", "DATABASE_URL"):
            assert f"EVERGRANT_{name}:" in said.err
        assert "c2hvcnQ=" not in said.err


@only_sqlite
async def test_a_key_file_that_others_can_read_is_refused(evergrant: Command, tmp_path: Path) -> None:
    assert (await evergrant("migrate", SECRET_KEYS="")).code == 0
    key = tmp_path / "secret.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    said = await evergrant("grants", "list", SECRET_KEYS="")
    assert (said.code, said.out) == (2, "")
    assert f"chmod 600 {key}" in said.err  # on one line, to be copied


async def test_help_names_each_command(python: str) -> None:
    said = await Terminal(python)("--help")
    assert (said.code, said.err) == (0, "")
    for name in ("up", "web", "worker", "beat", "migrate", "sync", "reauth", "grants", "doctor", "simulator", "demo"):
        assert f" {name} " in said.out
    grants = await Terminal(python)("grants", "--help")
    for name in ("list", "show", "why", "reauth"):
        assert f" {name} " in grants.out


async def test_asking_for_help_waits_for_no_database_driver_and_no_http_client(python: str) -> None:
    program = "import sys, ingress.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    process = await asyncio.create_subprocess_exec(python, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert set(out.decode().split()).isdisjoint({"sqlalchemy", "celery", "httpx", "aiohttp", "redis", "pydantic"})


@only_sqlite
@pytest.mark.parametrize("command", ["web", "worker", "beat"])
async def test_a_program_that_needs_a_redis_says_so(evergrant: Command, command: str) -> None:
    said = await evergrant(command)
    assert (said.code, said.out) == (2, "")
    assert "EVERGRANT_REDIS_URL is missing" in said.err


@only_sqlite
@pytest.mark.parametrize("command", ["web", "worker", "grants list --json"])
async def test_a_database_that_is_not_migrated_is_told_of(terminal: Terminal, evergrant: Command, command: str) -> None:
    runs = terminal if command in ("web", "worker") else evergrant
    said = await runs(*command.split(), REDIS_URL="redis://127.0.0.1:1/0")
    assert (said.code, said.out) == (1, "")
    assert "evergrant migrate" in said.err


async def test_migrating_twice_is_fine(terminal: Terminal, evergrant: Command, database_url: str) -> None:
    for said in (await terminal("migrate"), await evergrant("migrate")):
        assert (said.code, said.out) == (0, "")
        assert said.err.endswith("The database is at this release's revision.")
    database = Database(database_url)
    assert await standing(database) is Standing.CURRENT
    await database.close()


@pytest.mark.long
async def test_grants_are_imported_and_listed(
    terminal: Terminal, evergrant: Command, database: Database, sim: Running
) -> None:
    valid, [expired] = seed(sim, 3), seed(sim, provider="microsoft", status="invalid")

    first, again = await terminal("sync", "--json"), await evergrant("sync")

    assert (first.data["listed"], first.data["new"]) == (4, 4)
    assert again.out == ""
    assert "4 grants listed by Nylas: 0 new to us, 0 changed, 0 gone there." in again.err
    listed = (await evergrant("grants", "list", "--json")).data
    assert {grant["grant_id"] for grant in listed} == {*valid, expired}
    [grant] = [grant for grant in listed if grant["grant_id"] == expired]
    assert (grant["email"], grant["provider"]) == (at_nylas(sim, expired).email, "microsoft")
    assert grant["status"] == "expired"


@pytest.fixture
async def imported(evergrant: Command, database: Database, sim: Running) -> list[str]:
    """Two valid Google grants and an expired one of Microsoft, imported."""
    ids = [*seed(sim, 2), *seed(sim, provider="microsoft", status="invalid")]
    await evergrant("sync")
    return ids


@only_sqlite
async def test_a_list_can_be_filtered_and_cut(evergrant: Command, imported: list[str]) -> None:
    expired, both, one, table, unknown = (
        await evergrant("grants", "list", "--json", "--status", "expired"),
        await evergrant("grants", "list", "--json", "--status", "valid", "--provider", "microsoft"),
        await evergrant("grants", "list", "--json", "--provider", "google", "--limit", "1"),
        await evergrant("grants", "list"),
        await evergrant("grants", "list", "--status", "dead"),
    )
    assert [grant["grant_id"] for grant in expired.data] == [imported[2]]
    assert both.data == []
    assert [grant["provider"] for grant in one.data] == ["google"]
    assert (table.code, table.err) == (0, "")
    assert all(grant_id in table.out for grant_id in imported)
    assert (unknown.code, unknown.out) == (2, "")


@only_sqlite
async def test_a_list_goes_by_the_ids_and_says_if_there_are_more(evergrant: Command, imported: list[str]) -> None:
    two, all_of_them = (
        await evergrant("grants", "list", "--json", "--limit", "2"),
        await evergrant("grants", "list", "--json", "--limit", "3"),
    )
    assert [grant["grant_id"] for grant in all_of_them.data] == sorted(imported)
    assert all_of_them.err == ""
    assert two.data == all_of_them.data[:2]
    last = two.data[1]["grant_id"]
    assert f"There are more than these 2: go on with --after {last}." in two.err
    rest = await evergrant("grants", "list", "--json", "--after", last)
    assert rest.data == all_of_them.data[2:]


@only_sqlite
async def test_a_grant_is_shown_by_its_id_and_by_its_address(
    evergrant: Command, imported: list[str], sim: Running
) -> None:
    email = at_nylas(sim, imported[2]).email
    by_id, by_address, story, shown = (
        await evergrant("grants", "show", imported[2], "--json"),
        await evergrant("grants", "show", email.upper()),
        await evergrant("grants", "why", email, "--json"),
        await evergrant("grants", "why", email),
    )
    assert (by_id.data["grant_id"], by_id.data["email"], by_id.data["status"]) == (imported[2], email, "expired")
    assert "link" not in by_id.data, "one for this grant alone is made when it is asked for"
    assert (by_address.code, imported[2] in by_address.out) == (0, True)
    assert any("unknown to us → expired" in line["what"] for line in story.data)
    keys = {"at", "kind", "actor", "what", "before", "after", "request_id"}
    assert all(line.keys() == keys for line in story.data)
    assert "unknown to us → expired" in shown.out
    assert f"A link for its user: evergrant grants link {imported[2]}" in shown.out


@only_sqlite
async def test_a_grant_that_we_do_not_hold_is_said_to_be_unknown(evergrant: Command, database: Database) -> None:
    for command in ("show", "reauth"):
        said = await evergrant("grants", command, "nobody@example.com")
        assert (said.code, said.out) == (1, "")
        assert "No grant has the id or the email address 'nobody@example.com'" in said.err


@only_sqlite
async def test_an_address_with_marks_in_it_is_printed_as_it_is(
    evergrant: Command, database: Database, sim: Running
) -> None:
    """What others chose must not be read as the terminal's own marks."""
    [grant_id] = seed(sim, status="invalid")
    at_nylas(sim, grant_id).email = "[/bold]a[red]b@example.com"
    await evergrant("sync")
    listed, shown = await evergrant("grants", "list"), await evergrant("grants", "why", grant_id)
    for said in (listed, shown):
        assert said.code == 0
        assert "[/bold]a[red]b@example.com" in said.out


@only_sqlite
async def test_a_user_s_grant_is_renewed_by_a_link_and_stdout_holds_just_that(
    evergrant: Command, imported: list[str], sim: Running
) -> None:
    said = await evergrant("grants", "reauth", imported[2])
    [url] = said.out.splitlines()
    assert (said.code, url.startswith(f"{WEB}/reauth/")) == (0, True)
    assert f"For {at_nylas(sim, imported[2]).email} (microsoft) alone" in said.err


@only_sqlite
async def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    evergrant: Command, imported: list[str], sim: Running
) -> None:
    before = sim.state.calls.total
    said, without_yes = await evergrant("reauth", "--dry-run"), await evergrant("reauth")
    assert (said.code, said.out) == (0, "")
    assert "3 grants match. 3 are skipped: they have no credential: only their users can sign in again." in said.err
    assert (without_yes.code, without_yes.out) == (2, "")
    assert "say --yes" in without_yes.err
    assert sim.state.calls.total == before


@only_sqlite
async def test_a_nylas_that_does_not_let_us_is_told_of(evergrant: Command, database: Database, sim: Running) -> None:
    refused = await evergrant("sync", "--json", NYLAS_API_KEY="nyk_another")
    await fails(sim, "/v3/grants", status=503)
    away = await evergrant("sync", "--json")
    for said in (refused, away):
        assert (said.code, said.out) == (1, "")
        assert "Nylas did not give us its list" in said.err
        assert "nyk_" not in said.err


async def test_the_threads_of_a_program_change_often_so_that_none_waits_long_with_sqlite_s_lock(python: str) -> None:
    """Each step of SQLite lets go of Python's lock; how often they change, Python counts in seconds (5 ms, unasked)."""
    asked = "print(sys.getswitchinterval())"
    program = f"import atexit, sys; atexit.register(lambda: {asked}); from ingress.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(python, "-c", program, "--help"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert float(out.split()[-1]) == TURN < 0.001
