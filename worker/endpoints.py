"""The endpoints that the settings name: where notices go, and who is told by mail."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlmodel import col

from models import Application, Endpoint
from models.columns import new_id
from models.database import Database
from models.sealing import Keyring, Unsealable
from tasks.context import Context
from tasks.notices.endpoints import CONTACTS, FOR_OPERATORS, FOR_USERS, MAIL, active, remove
from worker.settings import Settings

SETTINGS = "settings"


def wanted(settings: Settings) -> dict[str, list[str]]:
    """Say which endpoints the settings name, and which kinds each of them wants (none: all of them)."""
    named: dict[str, list[str]] = {}
    if settings.notice_url:
        named[settings.notice_url] = []
    if settings.mail_server:
        named[CONTACTS] = [kind.value for kind in FOR_USERS]
        if settings.operator_email:
            named[MAIL + settings.operator_email] = [kind.value for kind in FOR_OPERATORS]
    return named


async def ensure_endpoints(
    database: Database, keys: Keyring, settings: Settings, application_id: UUID, *, now: datetime
) -> None:
    """Make the rows of the endpoints that the settings name, or bring them up to the settings.

    One that said that it is gone (410) is not brought back by this, but by `evergrant endpoints add`.
    """
    named = wanted(settings)
    async with database.reading() as session:
        held = await session.scalars(_all_of(application_id))
        rows = {row.url: row for row in held}
    if all(_is_so(keys, rows.get(url), settings, kinds) for url, kinds in named.items()):
        return
    async with database.writing() as session:
        # Processes that start at once wait for each other here, so that each endpoint is made once.
        await session.get_one(Application, application_id, with_for_update=True)
        rows = {row.url: row for row in await session.scalars(_all_of(application_id))}
        for url, kinds in named.items():
            row = rows.get(url)
            if _is_so(keys, row, settings, kinds):
                continue
            if row is None:
                row = Endpoint(
                    id=new_id(), application_id=application_id, url=url, secret="", source=SETTINGS, created_at=now
                )
            row.removed_at, row.source, row.kinds = None, SETTINGS, kinds
            keys.seal(row, "secret", _secret(settings, url))
            session.add(row)


async def drop_unnamed(ctx: Context, settings: Settings) -> None:
    """Tell nothing more to endpoints that the settings named once, and name no more. A worker does so when it starts.

    A command does not: it may be run where only a part of the settings is set.
    """
    named = wanted(settings)
    async with ctx.database.reading() as session:
        rows = [row for row in await active(session, ctx.application_id) if row.source == SETTINGS]
    for row in rows:
        if row.url not in named:
            await remove(ctx, row.id, why="the settings do not name the endpoint any more")


def _all_of(application_id: UUID) -> Select[Endpoint]:
    return select(Endpoint).where(col(Endpoint.application_id) == application_id).order_by(col(Endpoint.created_at))


def _is_so(keys: Keyring, row: Endpoint | None, settings: Settings, kinds: Sequence[str]) -> bool:
    if row is None:
        return False
    if row.removed_at:
        return row.last_error is not None  # it said that it is gone
    if row.source != SETTINGS:
        return True  # an admin's own
    try:
        return list(row.kinds) == list(kinds) and keys.reveal(row, "secret") == _secret(settings, row.url)
    except Unsealable:
        return False


def _secret(settings: Settings, url: str) -> str:
    """What is sent to it is signed by; mails are not."""
    told = settings.notice_secret
    return told.get_secret_value() if told and not url.startswith(MAIL) else ""
