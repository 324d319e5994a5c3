"""The user comes back: taken in once, and what the query says is neither shown nor kept where it can be read."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from models import AuthSessionStatus
from models.database import Database
from simulator import Running
from tests.conftest import SetClock
from tests.databases import sqlite_file
from tests.front import inbox, installed, only_sqlite, without_database
from tests.signing_in import (
    Worker,
    app,
    at_nylas,
    browser,
    comes_back_with,
    consents,
    reads,
    sign_ins,
    starts,
    worker,
)

__all__ = ["app", "at_nylas", "browser", "installed", "without_database", "worker"]
XSS = "<script>alert(1)</script>"
CONNECTED = "You&#x27;re connected"
FAILED = "That didn&#x27;t work"


async def test_the_same_return_many_times_at_once_is_taken_in_once(
    browser: httpx.AsyncClient, sim: Running, database: Database, worker: Worker
) -> None:
    """A double click, a prefetch, an impatient proxy: every one of them gets the page of the one sign-in."""
    back = await consents(browser)

    pages = await asyncio.gather(*(browser.get(back) for _ in range(8)))

    for page in pages:
        reads(page, 200, CONNECTED)
    [event], [row] = await inbox(database), await sign_ins(database)
    assert worker.rung == [event.id]
    assert row.status is AuthSessionStatus.DONE
    assert list(sim.state.calls.codes.values()) == [1]


@only_sqlite
async def test_a_reload_shows_how_it_stands_and_another_code_with_the_same_state_is_nothing(
    browser: httpx.AsyncClient, sim: Running, database: Database, clock: SetClock
) -> None:
    back = await consents(browser)
    reads(await browser.get(back), 200, CONNECTED)
    state = parse_qs(urlsplit(back).query)["state"][0]
    for again in (back, comes_back_with(state=state, code="x"), comes_back_with(state=state, error="access_denied")):
        reads(await browser.get(again), 200, CONNECTED)
    clock.forward(hours=1)
    reads(await browser.get(back), 200, CONNECTED)
    assert len(await inbox(database)) == 1
    assert list(sim.state.calls.codes.values()) == [1]


@only_sqlite
async def test_two_tabs_of_one_browser_both_come_through(browser: httpx.AsyncClient, database: Database) -> None:
    """They share the cookie and nothing else."""
    first, second = await consents(browser), await consents(browser)
    reads(await browser.get(second), 200, CONNECTED)
    reads(await browser.get(first), 200, CONNECTED)
    assert len(await inbox(database)) == 2


@only_sqlite
@pytest.mark.parametrize(
    ("query", "status", "title"),
    [
        ({"error": "access_denied", "error_description": XSS}, 200, "Not connected"),
        ({"error": "access_denied", "code": "kept-code"}, 200, "Not connected"),
        ({"error": XSS, "error_description": XSS, "error_uri": "javascript:alert(1)"}, 400, FAILED),
        ({"error": "server_error\r\nSet-Cookie: a=b", "error_description": "kept-code" * 1000}, 400, FAILED),
        ({"error": ""}, 400, FAILED),
        ({}, 400, FAILED),
        ({"code": ""}, 400, FAILED),
        ({"code": "kept-code" * 1200}, 400, FAILED),
        ({"admin_consent": "true", "tenant": XSS}, 400, FAILED),
    ],
)
async def test_a_return_without_a_code_ends_the_sign_in_and_shows_nothing_of_what_it_says(
    browser: httpx.AsyncClient,
    database: Database,
    sim: Running,
    capfd: pytest.CaptureFixture[str],
    query: dict[str, str],
    status: int,
    title: str,
) -> None:
    state = (await starts(browser, "microsoft"))["state"]

    for address in (comes_back_with(state=state, **query), comes_back_with(state=state, code="a-code")):
        page = await browser.get(address)
        reads(page, status, title)
        assert 'href="/connect/microsoft"' in page.text
        assert "kept-code" not in page.text
        assert "alert(1)" not in page.text

    [row] = await sign_ins(database)
    assert (row.status, row.code, row.code_verifier) == (AuthSessionStatus.FAILED, None, None)
    assert "kept-code" not in str(row.reason)
    assert await inbox(database) == []
    assert sim.state.calls.codes == {}
    said = "".join(capfd.readouterr())
    assert "kept-code" not in said
    assert "alert(1)" not in said


@only_sqlite
async def test_a_code_that_nylas_refuses_ends_in_a_page_without_a_word_of_nylas(
    browser: httpx.AsyncClient, database: Database, sim: Running
) -> None:
    state = (await starts(browser))["state"]
    for code in (XSS, "again"):
        page = await browser.get(comes_back_with(state=state, code=code))
        reads(page, 400, FAILED)
        assert "invalid" not in page.text
        assert "alert(1)" not in page.text
    [row] = await sign_ins(database)
    assert row.status is AuthSessionStatus.FAILED
    assert sim.state.calls.codes == {XSS: 1}


def in_the_files(database: Database, secret: str) -> list[str]:
    """Which files of the database hold this text, in plain."""
    its = sqlite_file(database)
    return [file.name for file in its.parent.glob(f"{its.name}*") if secret.encode() in file.read_bytes()]


@only_sqlite
async def test_what_the_browser_carries_is_nowhere_in_plain(
    browser: httpx.AsyncClient,
    database: Database,
    worker: Worker,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not while the exchange is still to come, not after it, and in no log at any level."""
    caplog.set_level("DEBUG")
    worker.rests = True
    back = await consents(browser, login_hint="ada@example.com")
    [cookie] = browser.cookies.jar
    carried = [values[0] for values in parse_qs(urlsplit(back).query).values()] + [str(cookie.value)]
    assert len(carried) == 3

    waits = await browser.get(back)

    reads(waits, 202, "Almost done")
    assert '<meta http-equiv="refresh" content="2">' in waits.text
    [row] = await sign_ins(database)
    assert row.code is not None
    assert in_the_files(database, row.state_hash)  # we do look at the right files
    assert [in_the_files(database, secret) for secret in carried] == [[], [], []]

    await worker.work(worker.rung)

    reads(await browser.get(back), 200, CONNECTED)
    assert [in_the_files(database, secret) for secret in carried] == [[], [], []]
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    said = "\n".join(ours) + "".join(capfd.readouterr())
    assert row.state_hash in said  # we do look at the right log
    assert [secret for secret in carried if secret in said] == []
