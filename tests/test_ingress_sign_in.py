"""Signing in by the web front: what Nylas is asked for, and which browser may finish it."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from ingress.front import Front
from ingress.sign_in import PROVIDERS
from ingress.web import make_web
from models import AuthSession, AuthSessionStatus, Event, Grant
from models.database import Database
from models.kinds import OAUTH_RETURNED
from simulator import Running
from tasks.context import Context
from tasks.oauth_callback import exchange_codes
from tests.conftest import API_KEY, CLIENT_ID, SetClock
from worker.settings import read

WEB = "https://grants.example.com"
XSS = "<script>alert(1)</script>"
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, database_url: str, sim: Running) -> None:
    """Set what an installation is told."""
    told = {
        "NYLAS_API_KEY": API_KEY,
        "NYLAS_CLIENT_ID": CLIENT_ID,
        "NYLAS_API_URI": sim.url,
        "PUBLIC_URL": WEB,
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "SECRET_KEYS": b64encode(secrets.token_bytes(32)).decode(),
    }
    for name, value in told.items():
        monkeypatch.setenv(f"EVERGRANT_{name}", value)


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


async def inbox(database: Database) -> list[Event]:
    """All events."""
    async with database.reading() as session:
        return list((await session.scalars(select(Event))).all())


async def sign_ins(database: Database) -> list[AuthSession]:
    """All sign-ins."""
    async with database.reading() as session:
        return list((await session.scalars(select(AuthSession))).all())


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, sim: Running) -> None:
    install(monkeypatch, tmp_path, database_url, sim)


@pytest.fixture
async def app(database: Database, valkey: str, clock: SetClock) -> AsyncIterator[Starlette]:
    """The web front."""
    async with opened(valkey, Worker(), clock) as app:
        yield app


@pytest.fixture
async def browser(app: Starlette, sim: Running) -> AsyncIterator[httpx.AsyncClient]:
    """The user's browser."""
    async with browsing(app, sim) as browser:
        yield browser


async def test_a_user_signs_in_and_is_connected(browser: httpx.AsyncClient, sim: Running, database: Database) -> None:
    browser.follow_redirects = True

    page = await browser.get("/connect/google", params={"login_hint": "ada.byron@example.com"})

    reads(page, 200, "You&#x27;re connected")
    assert "ada.byron@example.com is connected." in page.text
    [event], [row] = await inbox(database), await sign_ins(database)
    assert (event.kind, event.source, row.status) == (OAUTH_RETURNED, "web", AuthSessionStatus.DONE)
    assert (row.code, row.code_verifier) == (None, None)
    async with database.reading() as session:
        grant = await session.get_one(Grant, row.grant_id)
    assert (grant.email, grant.provider) == ("ada.byron@example.com", "google")
    assert list(sim.state.calls.codes.values()) == [1]


@only_sqlite
async def test_nylas_is_asked_for_all_that_a_safe_sign_in_needs(browser: httpx.AsyncClient) -> None:
    for provider in sorted(PROVIDERS):
        asked = await starts(browser, provider, login_hint="a+b@example.com")
        assert asked["client_id"] == CLIENT_ID
        assert asked["redirect_uri"] == f"{WEB}/oauth/callback"
        assert (asked["response_type"], asked["provider"]) == ("code", provider)
        assert asked["login_hint"] == "a+b@example.com"
        assert asked["code_challenge_method"].upper() == "S256"
        assert len(asked["code_challenge"]) == 86  # base64 of the hex digest, as Nylas has it
        assert len(asked["state"]) >= 43  # 256 bits
    again = await starts(browser)
    assert again["state"] != asked["state"]
    assert again["code_challenge"] != asked["code_challenge"]
    assert "login_hint" not in again


@only_sqlite
async def test_a_hint_that_is_no_address_is_left_out(browser: httpx.AsyncClient) -> None:
    for hint in ("", "x" * 321, "a\r\nb@example.com", "a\0@example.com"):
        assert "login_hint" not in await starts(browser, login_hint=hint)


@only_sqlite
async def test_an_unknown_provider_is_a_page_that_says_so(browser: httpx.AsyncClient, database: Database) -> None:
    for provider in ("nope", "Google", "google%0d%0a", "%3Cscript%3Ealert(1)", "x" * 5000):
        reads(await browser.get(f"/connect/{provider}"), 404, "No such provider")
    assert await sign_ins(database) == []


@only_sqlite
@pytest.mark.parametrize(("public_url", "secure"), [(WEB, True), ("http://localhost:8000", False)])
async def test_the_cookie_is_for_us_alone(
    database: Database, valkey: str, sim: Running, monkeypatch: pytest.MonkeyPatch, public_url: str, secure: bool
) -> None:
    monkeypatch.setenv("EVERGRANT_PUBLIC_URL", public_url)
    app = make_web(read(), redis_url=valkey)
    async with app.router.lifespan_context(app), browsing(app, sim) as browser:
        told = (await browser.get("/connect/google")).headers["set-cookie"]
    [kept, *attributes] = [part.strip() for part in told.split(";")]
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=600"} <= set(attributes)
    assert ("Secure" in attributes) is secure
    assert not any(part.lower().startswith("domain") for part in attributes)
    assert len(kept.partition("=")[2]) >= 43


@pytest.fixture
async def stranger(app: Starlette, sim: Running) -> AsyncIterator[httpx.AsyncClient]:
    """Another browser, in the middle of a sign-in of its own."""
    async with browsing(app, sim) as stranger:
        await starts(stranger)
        yield stranger


@only_sqlite
async def test_only_the_browser_that_started_a_sign_in_finishes_it(
    browser: httpx.AsyncClient, stranger: httpx.AsyncClient, app: Starlette, sim: Running, database: Database
) -> None:
    """A link that leads back, sent to somebody else, connects neither's account."""
    back = await consents(browser)
    reads(await stranger.get(back), 400, "We don&#x27;t know this sign-in")
    async with browsing(app, sim) as without_cookie:
        reads(await without_cookie.get(back), 400, "We don&#x27;t know this sign-in")
        for cookie in ("", "x" * 43, "é" * 43, "x" * 5000, '"'):
            answer = await without_cookie.get(back, headers=[(b"Cookie", f"evergrant_browser={cookie}".encode())])
            reads(answer, 400, "We don&#x27;t know this sign-in")
    assert await inbox(database) == []

    reads(await browser.get(back), 200, "You&#x27;re connected")


@only_sqlite
async def test_a_state_that_is_not_ours_leads_nowhere(browser: httpx.AsyncClient, database: Database) -> None:
    state = (await starts(browser))["state"]
    wrong = ["", state[:-1], state + "x", state.swapcase(), "x" * 257, "x" * 10_000, "é", "\0", XSS]
    for other in wrong:
        reads(await browser.get(comes_back_with(state=other, code="c")), 400, "We don&#x27;t know this sign-in")
    for query in ("", "?code=c", "?state", "?admin_consent=true", "?error=access_denied", "?%ff=%ff&state=%ff"):
        reads(await browser.get(f"/oauth/callback{query}"), 400, "We don&#x27;t know this sign-in")
    assert await inbox(database) == []
    assert [row.status for row in await sign_ins(database)] == [AuthSessionStatus.STARTED]


@only_sqlite
async def test_a_sign_in_is_kept_open_for_ten_minutes(
    browser: httpx.AsyncClient, database: Database, clock: SetClock
) -> None:
    in_time, late = await consents(browser), await consents(browser)
    clock.forward(minutes=10)
    reads(await browser.get(in_time), 200, "You&#x27;re connected")
    clock.forward(seconds=1)
    page = await browser.get(late)
    reads(page, 410, "That took a while")
    assert 'href="/connect/google"' in page.text
    assert len(await inbox(database)) == 1
