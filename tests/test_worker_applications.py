"""The application's row: made once by however many processes, and brought up to the settings."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from models import Application
from models.database import Database
from models.sealing import Keyring, Unsealable
from worker.applications import ensure_application
from worker.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def keys() -> Keyring:
    """The keys of the installation."""
    return Keyring([secrets.token_bytes(32)])


def told(**changed: object) -> Settings:
    """Settings that name an application."""
    given: dict[str, object] = {
        "nylas_api_key": SecretStr("nyk_first"),
        "nylas_client_id": "client",
        "nylas_webhook_secret": SecretStr("whs_first"),
        "nylas_api_uri": "https://api.us.nylas.com",
        "public_url": "https://evergrant.example.com",
    }
    return Settings.model_validate(given | changed)


async def rows(database: Database) -> list[Application]:
    """All rows."""
    async with database.reading() as session:
        return list((await session.scalars(select(Application))).all())


async def test_the_row_is_made_with_its_secrets_sealed(database: Database, keys: Keyring) -> None:
    made = await ensure_application(database, keys, told(), now=NOON)
    [row] = await rows(database)
    assert row == made
    assert (row.client_id, row.api_uri, row.created_at) == ("client", "https://api.us.nylas.com", NOON)
    assert (keys.reveal(row, "api_key"), keys.reveal(row, "webhook_secret")) == ("nyk_first", "whs_first")
    assert "first" not in row.api_key + str(row.webhook_secret)


async def test_many_processes_that_start_at_once_make_one_row(database: Database, keys: Keyring) -> None:
    made = await asyncio.gather(*(ensure_application(database, keys, told(), now=NOON) for _ in range(10)))
    [row] = await rows(database)
    assert {one.id for one in made} == {row.id}
    assert {keys.reveal(one, "api_key") for one in [*made, row]} == {"nyk_first"}


async def test_a_second_start_writes_nothing(database: Database, keys: Keyring) -> None:
    made = await ensure_application(database, keys, told(), now=NOON)
    again = await ensure_application(database, keys, told(), now=LATER)
    [row] = await rows(database)
    assert made == again == row
    assert row.updated_at == NOON


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"nylas_api_key": SecretStr("nyk_second")}, ("nyk_second", "whs_first", "https://api.us.nylas.com")),
        ({"nylas_webhook_secret": SecretStr("whs_2")}, ("nyk_first", "whs_2", "https://api.us.nylas.com")),
        ({"nylas_api_uri": "https://api.eu.nylas.com"}, ("nyk_first", "whs_first", "https://api.eu.nylas.com")),
    ],
    ids=["key", "webhook secret", "region"],
)
async def test_the_row_follows_the_settings(
    database: Database, keys: Keyring, changed: dict[str, object], expected: tuple[str | None, ...]
) -> None:
    made = await ensure_application(database, keys, told(), now=NOON)
    await ensure_application(database, keys, told(**changed), now=LATER)
    [row] = await rows(database)
    secret = keys.reveal(row, "webhook_secret") if row.webhook_secret else None
    assert (keys.reveal(row, "api_key"), secret, row.api_uri) == expected
    assert (row.id, row.created_at, row.updated_at) == (made.id, NOON, LATER)


async def test_a_process_without_the_webhook_secret_leaves_it_as_it_is(database: Database, keys: Keyring) -> None:
    await ensure_application(database, keys, told(), now=NOON)
    await ensure_application(database, keys, told(nylas_webhook_secret=None), now=LATER)
    [row] = await rows(database)
    assert keys.reveal(row, "webhook_secret") == "whs_first"
    assert row.updated_at == NOON


async def test_a_webhook_secret_that_comes_later_is_taken_in(database: Database, keys: Keyring) -> None:
    await ensure_application(database, keys, told(nylas_webhook_secret=None), now=NOON)
    await ensure_application(database, keys, told(), now=LATER)
    [row] = await rows(database)
    assert keys.reveal(row, "webhook_secret") == "whs_first"


async def test_keys_that_were_replaced_seal_the_row_anew(database: Database, keys: Keyring) -> None:
    await ensure_application(database, keys, told(), now=NOON)
    replaced = Keyring([secrets.token_bytes(32)])
    await asyncio.gather(*(ensure_application(database, replaced, told(), now=LATER) for _ in range(5)))
    [row] = await rows(database)
    assert (replaced.reveal(row, "api_key"), replaced.reveal(row, "webhook_secret")) == ("nyk_first", "whs_first")
    with pytest.raises(Unsealable):
        keys.reveal(row, "api_key")


async def test_another_client_id_is_another_row(database: Database, keys: Keyring) -> None:
    one = await ensure_application(database, keys, told(), now=NOON)
    other = await ensure_application(database, keys, told(nylas_client_id="other"), now=NOON)
    assert {row.id for row in await rows(database)} == {one.id, other.id}
    assert one.id != other.id
