"""The command `vault`: secrets of single mailboxes go in by a file, are sealed, and never come out again."""

import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from models import VaultSecret, Way
from models.database import Database
from models.sealing import Keyring
from nylas_api import Imap, RefreshToken
from simulator import Running
from tasks.campaigns.listed import from_vault
from tasks.context import Context
from tests.front import told
from tests.in_process import Command
from tests.installed import file

LIST = """\
email,provider,refresh_token,imap_username,imap_password
Ada@Example.com,google,1//HIDDEN,,
ada@example.com,imap,,ada,HIDDEN
bob@example.com,microsoft,HIDDEN,,
"""


@pytest.fixture
def settings(tmp_path: Path, database_url: str, sim: Running) -> dict[str, str]:
    """The settings of an installation on the database of the test."""
    return told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url)


@pytest.fixture
def worker(ctx: Context, settings: dict[str, str]) -> Context:
    """A worker of the same installation."""
    return replace(ctx, keys=Keyring([b64decode(settings["SECRET_KEYS"])]))


@pytest.fixture
def evergrant(settings: dict[str, str], worker: Context) -> Command:
    """The command, of the installation whose worker it is."""
    return Command(settings)


async def rows(database: Database) -> list[VaultSecret]:
    """All that the vault has."""
    async with database.reading() as session:
        return list(
            (await session.scalars(select(VaultSecret).order_by(VaultSecret.email, VaultSecret.provider))).all()
        )


def private(folder: Path, content: str, name: str = "secrets.csv", *, mode: int = 0o600) -> str:
    """A list that nobody else can read, unless the mode says so."""
    path = file(folder, content, name)
    Path(path).chmod(mode)
    return path


async def test_secrets_are_sealed_and_a_worker_opens_them_by_provider_and_address(
    evergrant: Command, worker: Context, tmp_path: Path
) -> None:
    path = private(tmp_path, LIST)
    said = await evergrant("vault", "import", path)
    assert (said.code, said.out, said.err) == (0, "", "Mailboxes taken into the vault: 3.")
    kept = await rows(worker.database)
    assert [(row.email, row.provider, row.way) for row in kept] == [
        ("ada@example.com", "google", Way.REFRESH),
        ("ada@example.com", "imap", Way.IMAP),
        ("bob@example.com", "microsoft", Way.REFRESH),
    ]
    assert "HIDDEN" not in repr(kept)
    async with worker.database.reading() as session:
        opened = await from_vault(session, worker, [("google", "ada@example.com"), ("imap", "ADA@example.com")])
    assert opened == {
        ("google", "ada@example.com"): RefreshToken.model_validate({"refresh_token": "1//HIDDEN"}),
        ("imap", "ada@example.com"): Imap.model_validate({"imap_username": "ada", "imap_password": "HIDDEN"}),
    }


async def test_a_second_import_replaces_what_was_there(evergrant: Command, worker: Context, tmp_path: Path) -> None:
    await evergrant("vault", "import", private(tmp_path, LIST))
    again = "email,provider,refresh_token\nADA@example.com,google,new\n"
    said = await evergrant("vault", "import", "-", "--json", stdin=again)
    assert (said.code, said.data) == (0, {"kept": 1, "bad": 0})
    assert len(await rows(worker.database)) == 3
    async with worker.database.reading() as session:
        opened = await from_vault(session, worker, [("google", "ada@example.com")])
    assert list(opened.values()) == [RefreshToken.model_validate({"refresh_token": "new"})]


async def test_bad_lines_are_told_and_the_good_ones_are_kept(
    evergrant: Command, worker: Context, tmp_path: Path
) -> None:
    lines = [
        {"email": "ada@example.com", "provider": "google"},
        {"grant_id": "g-1", "provider": "google", "refresh_token": "HIDDEN"},
        {"email": "ada@example.com", "refresh_token": "HIDDEN"},
        {"email": "HIDDEN", "provider": "google", "refresh_token": "HIDDEN"},
        {"email": "bob@example.com", "provider": "google", "refresh_token": "HIDDEN"},
    ]
    path = private(tmp_path, "\n".join(json.dumps(line) for line in lines), "secrets.jsonl")
    said = await evergrant("vault", "import", path)
    assert (said.code, said.out) == (1, "")
    for expected in (
        "line 1: it has nothing to keep: a refresh_token, or the settings of an account",
        "line 2: it names no mailbox: the vault is kept by email and provider, not by grant_id",
        "line 3: it names no provider, which a refresh_token must have",
        "line 4: email is not an address such as ada@example.com",
        "Mailboxes taken into the vault: 1; bad lines: 4.",
    ):
        assert expected in said.err
    assert "HIDDEN" not in said.err
    assert [row.email for row in await rows(worker.database)] == ["bob@example.com"]


async def test_what_is_no_list_is_refused_and_a_file_that_others_can_read_is_warned_of(
    evergrant: Command, worker: Context, tmp_path: Path
) -> None:
    for path, said in (
        (str(tmp_path / "none"), "can't be read: No such file or directory"),
        (str(tmp_path), "can't be read: Is a directory"),
        (private(tmp_path, "1//HIDDEN", "other.csv"), "has no header: its first line must name the columns"),
        (private(tmp_path, ""), "secrets.csv is empty"),
    ):
        refused = await evergrant("vault", "import", path)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err
        assert "HIDDEN" not in refused.err
    assert await rows(worker.database) == []
    warned = await evergrant("vault", "import", private(tmp_path, LIST, mode=0o644))
    assert (warned.code, "others on this machine can read it: chmod 600" in warned.err) == (0, True)


async def test_the_list_says_for_whom_there_is_something_and_never_what(evergrant: Command, tmp_path: Path) -> None:
    await evergrant("vault", "import", private(tmp_path, LIST))
    listed, table = await evergrant("vault", "list", "--json"), await evergrant("vault", "list")
    assert [(row["email"], row["provider"], row["way"], row["used_at"]) for row in listed.data] == [
        ("ada@example.com", "google", "refresh_token", None),
        ("ada@example.com", "imap", "imap", None),
        ("bob@example.com", "microsoft", "refresh_token", None),
    ]
    assert "bob@example.com" in table.out
    assert "HIDDEN" not in listed.out + table.out
    assert "eg1." not in listed.out + table.out
    for options, count in ((("--limit", "1"), 1), (("--provider", "google"), 1), (("--email", "Ada@example.com"), 2)):
        assert len((await evergrant("vault", "list", "--json", *options)).data) == count


async def test_removing_asks_first_and_takes_one_address(evergrant: Command, worker: Context, tmp_path: Path) -> None:
    await evergrant("vault", "import", private(tmp_path, LIST))
    asked = await evergrant("vault", "remove", "ada@example.com")
    assert (asked.code, "say --yes" in asked.err) == (2, True)
    assert (await evergrant("vault", "remove", "ada@example.com", "--provider", "imap", "--yes")).code == 0
    assert [row.provider for row in await rows(worker.database)] == ["google", "microsoft"]
    assert (await evergrant("vault", "remove", "ADA@example.com", "--yes")).code == 0
    assert [row.email for row in await rows(worker.database)] == ["bob@example.com"]
    again = await evergrant("vault", "remove", "ada@example.com", "--yes")
    assert (again.code, "The vault has nothing for 'ada@example.com'" in again.err) == (1, True)


async def test_a_long_list_goes_in_by_parts(evergrant: Command, worker: Context, tmp_path: Path) -> None:
    lines = [f"user{number}@example.com,google,HIDDEN" for number in range(2_345)]
    path = private(tmp_path, "\n".join(["email,provider,refresh_token", *lines]))
    for _ in range(2):
        assert (await evergrant("vault", "import", path, "--json")).data == {"kept": 2_345, "bad": 0}
    assert len(await rows(worker.database)) == 2_345
