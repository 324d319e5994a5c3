"""Signing in by the web front, for the tests of it: the browser, the pages, and a worker at hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from ingress.front import Front
from ingress.web import make_web
from models import AuthSession
from models.database import Database
from models.kinds import OAUTH_RETURNED
from simulator import Running
from tasks.context import Context
from tasks.oauth_callback import exchange_codes
from tests.conftest import SetClock
from tests.front import WEB
from worker.settings import read


@pytest.fixture
def at_nylas(installed: None, monkeypatch: pytest.MonkeyPatch, sim: Running) -> None:
    """The environment of an installation whose Nylas is the simulator."""
    monkeypatch.setenv("EVERGRANT_NYLAS_API_URI", sim.url)


@dataclass
class Worker:
    """Works on what is rung for, in this process, unless it is told to rest."""

    rests: bool = False
    context: Context | None = None
    rung: list[UUID] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __call__(self, kind: str, ids: Sequence[UUID]) -> None:
        """Hear a ring."""
        assert kind == OAUTH_RETURNED
        self.rung += ids
        if not self.rests:
            self.tasks.append(asyncio.create_task(self.work(ids)))

    async def work(self, ids: Sequence[UUID]) -> None:
        """Do the task."""
        assert self.context
        await exchange_codes.run(self.context, ids)


@asynccontextmanager
async def opened(redis_url: str, worker: Worker, clock: SetClock) -> AsyncIterator[Starlette]:
    """The web front, open, with a clock to set, and a worker at hand."""
    app = make_web(read(), redis_url=redis_url)
    async with app.router.lifespan_context(app):
        front: Front = app.state.front
        worker.context = replace(front.context, ring=worker, now=clock)
        app.state.front = replace(front, context=worker.context)
        yield app
        await asyncio.gather(*worker.tasks)


@asynccontextmanager
async def browsing(app: Starlette, sim: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A browser: our pages come from the application, Nylas' from the simulator."""
    nylas = {sim.url: httpx.AsyncHTTPTransport()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=WEB, mounts=nylas, timeout=15) as browser:
        yield browser


async def starts(browser: httpx.AsyncClient, provider: str = "google", **query: str) -> dict[str, str]:
    """Go to our door; tell what we ask Nylas for."""
    answer = await browser.get(f"/connect/{provider}", params=query)
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def consents(browser: httpx.AsyncClient, **query: str) -> str:
    """Start a sign-in and say yes at Nylas; tell the address that leads back to us."""
    to_nylas = await browser.get("/connect/google", params=query)
    back = (await browser.get(to_nylas.headers["location"])).headers["location"]
    assert back.startswith(f"{WEB}/oauth/callback?")
    return str(back)


def comes_back_with(**query: str) -> str:
    """An address that leads back to us."""
    return f"{WEB}/oauth/callback?{urlencode(query)}"


def reads(answer: httpx.Response, status: int, title: str) -> None:
    """The answer is a page of ours, with this title and nothing that could hurt."""
    assert (answer.status_code, f"<title>{title}</title>" in answer.text) == (status, True), answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in answer.text


async def sign_ins(database: Database) -> list[AuthSession]:
    """All sign-ins."""
    async with database.reading() as session:
        return list((await session.scalars(select(AuthSession))).all())


@pytest.fixture
def worker() -> Worker:
    """The worker of the web front."""
    return Worker()


@pytest.fixture
async def app(
    at_nylas: None, database: Database, valkey: str, worker: Worker, clock: SetClock
) -> AsyncIterator[Starlette]:
    """The web front."""
    async with opened(valkey, worker, clock) as app:
        yield app


@pytest.fixture
async def browser(app: Starlette, sim: Running) -> AsyncIterator[httpx.AsyncClient]:
    """The user's browser."""
    async with browsing(app, sim) as browser:
        yield browser
