"""Signing in by the web front: what Nylas is asked for, and which browser may finish it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from ingress.web import make_web
from models import AuthSessionStatus, Grant
from models.database import Database
from models.kinds import OAUTH_RETURNED
from nylas_api import HOSTED_PROVIDERS
from simulator import Running
from tests.conftest import CLIENT_ID, SetClock
from tests.front import WEB, inbox, installed, only_sqlite, without_database
from tests.signing_in import (
    app,
    at_nylas,
    browser,
    browsing,
    comes_back_with,
    consents,
    reads,
    sign_ins,
    starts,
    worker,
)
from worker.settings import read

__all__ = ["app", "at_nylas", "browser", "installed", "without_database", "worker"]
XSS = "<script>alert(1)</script>"


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
    for provider in sorted(HOSTED_PROVIDERS):
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
    at_nylas: None,
    database: Database,
    valkey: str,
    sim: Running,
    monkeypatch: pytest.MonkeyPatch,
    public_url: str,
    secure: bool,
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
    for query in ("", "?code=c", "?state", "?admin_consent=false", "?error=access_denied", "?%ff=%ff&state=%ff"):
        reads(await browser.get(f"/oauth/callback{query}"), 400, "We don&#x27;t know this sign-in")
    assert await inbox(database) == []
    assert [row.status for row in await sign_ins(database)] == [AuthSessionStatus.STARTED]


@only_sqlite
async def test_an_admin_who_consented_is_thanked_and_nothing_is_done(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await starts(browser)
    reads(await browser.get(f"/oauth/callback?admin_consent=True&tenant={XSS}"), 200, "Thank you")
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
