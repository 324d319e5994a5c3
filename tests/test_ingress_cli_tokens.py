"""The commands of tokens: shown once, kept as a hash, refused from the moment they are revoked."""

from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from ingress.api import PATH
from models import ApiToken
from models.database import Database
from tests.api import bearer
from tests.front import installed, only_sqlite, served, set_up, told, without_database
from tests.in_process import Command

__all__ = ["installed", "without_database"]
pytestmark = only_sqlite


@pytest.fixture
def settings(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of an installation, which the environment has as well."""
    settings = told(tmp_path, DATABASE_URL=database_url)
    set_up(monkeypatch, settings)
    return settings


@pytest.fixture
def evergrant(settings: dict[str, str], database: Database) -> Command:
    """The command."""
    return Command(settings)


async def status(http: httpx.AsyncClient, token: str) -> int:
    """What the API answers to this token."""
    return (await http.get(f"{PATH}/grants", headers=bearer(token))).status_code


async def test_a_token_is_shown_once_and_opens_the_api_until_it_is_revoked(
    evergrant: Command, database: Database, valkey: str
) -> None:
    made = await evergrant("tokens", "create", "crm", "--scope", "grants", "--scope", "read", "--days", "30")
    token = made.out.strip()
    assert (made.code, token.startswith("evergrant_"), len(token) > 50) == (0, True, True)
    assert "Token crm may read and grants, until " in made.err
    assert token not in made.err
    async with database.reading() as session:
        [row] = (await session.scalars(select(ApiToken))).all()
    assert token not in repr(row)
    assert (row.scopes, row.expires_at is not None) == (["read", "grants"], True)
    async with served(valkey) as http:
        assert await status(http, token) == 200
        assert await status(http, token[:-1]) == 401
    revoked = await evergrant("tokens", "revoke", "crm", "--yes")
    assert (revoked.code, revoked.out) == (0, "")
    async with served(valkey) as http:
        assert await status(http, token) == 401


async def test_the_list_says_of_each_token_what_it_is_good_for(evergrant: Command) -> None:
    made = (await evergrant("tokens", "create", "crm", "--scope", "read", "--json")).data
    await evergrant("tokens", "create", "ops", "--scope", "admin")
    await evergrant("tokens", "revoke", made["token_id"], "--yes")
    listed, table = (await evergrant("tokens", "list", "--json")).data, await evergrant("tokens", "list")
    assert [(token["name"], token["scopes"], token["state"]) for token in listed] == [
        ("crm", "read", "revoked"),
        ("ops", "admin", "good"),
    ]
    assert all("token" not in token and "token_hash" not in token for token in listed)
    assert made["token"] not in table.out
    assert "ops" in table.out


async def test_a_name_is_taken_while_its_token_is_good(evergrant: Command) -> None:
    create = ("tokens", "create", "crm", "--scope", "read")
    assert (await evergrant(*create)).code == 0
    taken = await evergrant(*create)
    assert (taken.code, taken.out) == (2, "")
    assert "There is a token 'crm' already" in taken.err
    assert (await evergrant("tokens", "revoke", "crm", "--yes")).code == 0
    again = await evergrant("tokens", "revoke", "crm", "--yes")
    assert (again.code, "revoked already" in again.err) == (0, True)
    assert (await evergrant(*create)).code == 0


async def test_what_can_t_be_a_token_is_refused(evergrant: Command, database: Database) -> None:
    for arguments, code, said in (
        (("create", "crm"), 2, "--scope"),
        (("create", "crm", "--scope", "write"), 2, "write"),
        (("create", " ", "--scope", "read"), 2, "1 to 64 characters"),
        (("create", "x" * 65, "--scope", "read"), 2, "1 to 64 characters"),
        (("create", "crm", "--scope", "read", "--days", "0"), 2, "--days"),
        (("revoke", "nobody", "--yes"), 1, "No token has the name or the id 'nobody'"),
    ):
        refused = await evergrant("tokens", *arguments)
        assert (refused.code, refused.out) == (code, ""), arguments
        assert said in refused.err
    async with database.reading() as session:
        assert (await session.scalars(select(ApiToken))).all() == []


async def test_revoking_asks_first(evergrant: Command) -> None:
    await evergrant("tokens", "create", "crm", "--scope", "read")
    asked = await evergrant("tokens", "revoke", "crm")
    assert (asked.code, asked.out) == (2, "")
    assert "say --yes" in asked.err
    assert (await evergrant("tokens", "list", "--json")).data[0]["state"] == "good"
