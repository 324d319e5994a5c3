"""The web front as its tests have it: told what an installation is told, open in this process, with a client."""

import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from ingress.web import make_web
from models import Event
from models.arrivals import Arrival
from models.database import Database
from models.spool import Spool
from tests.conftest import API_KEY, CLIENT_ID, WEBHOOK_SECRET
from worker.settings import read

WEB = "https://grants.example.com"
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def told(folder: Path, **more: str) -> dict[str, str]:
    """The settings of an installation whose data lie in this folder, by their names without our prefix."""
    return {
        "NYLAS_API_KEY": API_KEY,
        "NYLAS_CLIENT_ID": CLIENT_ID,
        "NYLAS_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "PUBLIC_URL": WEB,
        "DATA_DIR": str(folder),
        "SECRET_KEYS": b64encode(secrets.token_bytes(32)).decode(),
    } | more


def set_up(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Put settings into the environment."""
    for name, value in settings.items():
        monkeypatch.setenv(f"EVERGRANT_{name}", value)


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of an installation, but for its database."""
    set_up(monkeypatch, told(tmp_path))


@pytest.fixture
def installed(without_database: None, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """The environment of an installation."""
    monkeypatch.setenv("EVERGRANT_DATABASE_URL", database_url)


@asynccontextmanager
async def served(redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open the web front, and a client of it; an exception that nobody caught fails the test."""
    app = make_web(read(), redis_url=redis_url)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://web") as http,
    ):
        yield http


async def spooled(database: Database) -> Sequence[Arrival]:
    """What is in the spool of a database, if it has one, as another process sees it."""
    if database.file is None:
        return []
    spool = Spool(database.file)
    try:
        return await spool.left()
    finally:
        await spool.close()


async def kept(database: Database) -> list[Event | Arrival]:
    """Each event that is safe by now: it is in the database, or in the spool until that can be written."""
    waiting = await spooled(database)
    events = await inbox(database)
    there = {event.key for event in events}
    return [*events, *{each.key: each for each in waiting if each.key not in there}.values()]


async def inbox(database: Database) -> list[Event]:
    """All events, by a connection of our own."""
    async with database.reading() as session:
        return list((await session.scalars(select(Event))).all())
