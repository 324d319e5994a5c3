"""The endpoints of the settings: made once by however many processes, and brought up to the settings."""

import asyncio
import secrets
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from models import Endpoint
from models.database import Database
from models.sealing import Keyring
from tasks.context import Context
from tasks.notices.endpoints import CONTACTS, remove
from tests.test_worker_applications import told
from worker.applications import ensure_application
from worker.endpoints import drop_unnamed, ensure_endpoints
from worker.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
URL = "https://product.example.com/evergrant"
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
OTHER_SECRET = "whsec_OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2"
NAMED = {"notice_url": URL, "notice_secret": SecretStr(SECRET)}


@pytest.fixture
def keys() -> Keyring:
    """The keys of the installation."""
    return Keyring([secrets.token_bytes(32)])


async def rows(database: Database) -> dict[str, Endpoint]:
    """All rows, by their URLs."""
    async with database.reading() as session:
        found = (await session.scalars(select(Endpoint))).all()
    assert len({row.url for row in found}) == len(found)
    return {row.url: row for row in found}


async def ensured(database: Database, keys: Keyring, settings: Settings) -> dict[str, Endpoint]:
    """The rows after a process has started with these settings."""
    application = await ensure_application(database, keys, settings, now=NOON)
    await ensure_endpoints(database, keys, settings, application.id, now=NOON)
    return await rows(database)


async def test_many_processes_that_start_at_once_make_one_row_with_its_secret_sealed(
    database: Database, keys: Keyring
) -> None:
    settings = told(**NAMED)
    application = await ensure_application(database, keys, settings, now=NOON)
    await asyncio.gather(*(ensure_endpoints(database, keys, settings, application.id, now=NOON) for _ in range(8)))
    [row] = (await rows(database)).values()
    assert (row.url, row.kinds, row.source, row.removed_at) == (URL, [], "settings", None)
    assert keys.reveal(row, "secret") == SECRET
    assert SECRET not in row.secret


async def test_a_secret_that_was_replaced_is_sealed_anew_and_one_that_was_not_is_not(
    database: Database, keys: Keyring
) -> None:
    first = (await ensured(database, keys, told(**NAMED)))[URL]
    assert (await ensured(database, keys, told(**NAMED)))[URL].secret == first.secret
    both = f"{OTHER_SECRET},{SECRET}"
    again = (await ensured(database, keys, told(**NAMED | {"notice_secret": SecretStr(both)})))[URL]
    assert (again.id, keys.reveal(again, "secret")) == (first.id, both)
    other_keys = Keyring([secrets.token_bytes(32)])
    assert other_keys.reveal((await ensured(database, other_keys, told(**NAMED)))[URL], "secret") == SECRET


async def test_a_mail_server_makes_users_and_the_operator_known(database: Database, keys: Keyring) -> None:
    mail = {"smtp_url": SecretStr("smtp://mail.example.com?from=a@b.c")}
    assert set(await ensured(database, keys, told(**mail))) == {CONTACTS}
    found = await ensured(database, keys, told(**mail, operator_email="ops@example.com"))
    assert found[CONTACTS].kinds == ["grant.reauth_required"]
    assert "incident.opened" in found["mailto:ops@example.com"].kinds
    assert "grant.expired" not in found["mailto:ops@example.com"].kinds


async def test_a_worker_drops_what_the_settings_name_no_more_and_takes_it_up_when_they_do_again(
    ctx: Context, database: Database
) -> None:
    await ensure_endpoints(database, ctx.keys, told(**NAMED), ctx.application_id, now=NOON)
    await drop_unnamed(ctx, told(**NAMED))
    assert (await rows(database))[URL].removed_at is None
    await drop_unnamed(ctx, told())
    assert (await rows(database))[URL].removed_at == ctx.now()
    await ensure_endpoints(database, ctx.keys, told(**NAMED), ctx.application_id, now=NOON)
    assert (await rows(database))[URL].removed_at is None


async def test_one_that_an_admin_added_is_not_dropped(ctx: Context, database: Database) -> None:
    await ensure_endpoints(database, ctx.keys, told(**NAMED), ctx.application_id, now=NOON)
    async with database.writing() as session:
        await session.execute(update(Endpoint).values(source="cli"))
    await drop_unnamed(ctx, told())
    assert (await rows(database))[URL].removed_at is None


async def test_one_that_said_that_it_is_gone_stays_gone(ctx: Context, database: Database) -> None:
    await ensure_endpoints(database, ctx.keys, told(**NAMED), ctx.application_id, now=NOON)
    await remove(ctx, (await rows(database))[URL].id, why="gone", error="it answered 410")
    await ensure_endpoints(database, ctx.keys, told(**NAMED), ctx.application_id, now=NOON)
    assert (await rows(database))[URL].removed_at == ctx.now()
