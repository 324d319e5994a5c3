"""`/reauth/{token}`: opened often, spent once by whom it is for, and a page that tells nothing where it is no good."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from lifecycle import GrantStatus
from models import AuthSession, AuthSessionStatus, CampaignItem, Grant, KnownConnector, Outcome, ReauthLink
from models.database import Database
from nylas_api import code_challenge
from simulator import Running
from tasks import links
from tasks.context import Context
from tests.conftest import SetClock
from tests.front import WEB, installed, only_sqlite, without_database
from tests.signing_in import Worker, app, at_nylas, browser, comes_back_with, reads, sign_ins, worker
from tests.stories import asked_for, known
from tests.stories import at_nylas as record_of

__all__ = ["app", "at_nylas", "browser", "installed", "without_database", "worker"]
BOB = "bob@example.com"
CONNECTED, ALREADY, CLOSED = "You&#x27;re connected", "Already connected", "This link no longer works"
UNKNOWN, ANOTHER = "We don&#x27;t know this link", "That was another account"


@pytest.fixture
def ctx(worker: Worker, browser: httpx.AsyncClient) -> Context:
    """The context of the worker behind the front."""
    assert worker.context
    return worker.context


async def expired(ctx: Context, sim: Running, clock: SetClock) -> tuple[str, str]:
    """A grant whose user has to come back, and the path of a link for it."""
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    return grant_id, await linked(ctx, grant_id)


async def linked(ctx: Context, grant_id: str) -> str:
    async with ctx.database.writing() as session:
        grant = await session.get_one(Grant, grant_id)
        _, url = await links.mint(ctx, session, grant, created_by="cli", now=ctx.now())
    assert url.startswith(f"{WEB}/reauth/")
    return urlsplit(url).path


async def connector_is(ctx: Context, **told: object) -> None:
    """What we know of Google's connector, instead of what a sync has found."""
    async with ctx.database.writing() as session:
        await session.execute(delete(KnownConnector))
        session.add(KnownConnector(application_id=ctx.application_id, provider="google", seen_at=ctx.now(), **told))


async def opens(browser: httpx.AsyncClient, link: str) -> dict[str, str]:
    """Open a link; tell what Nylas is asked for."""
    answer = await browser.get(link)
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def consents_as(browser: httpx.AsyncClient, sim: Running, link: str, email: str) -> str:
    """Open a link, and choose an account at Nylas; tell the address that leads back to us."""
    sim.state.logins.consent = "page"
    await browser.get((await browser.get(link)).headers["location"])
    [[login_id, _]] = list(sim.state.logins.asked.items())
    sent = {"answer": "allow", "email": email}
    answer = await browser.post(f"{sim.url}/_sim/consent/{login_id}", data=sent)
    return str(answer.headers["location"])


async def the_link(database: Database) -> ReauthLink:
    async with database.reading() as session:
        return (await session.scalars(select(ReauthLink))).one()


async def test_a_user_comes_back_by_a_link_and_then_it_says_so(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    grant_id, link = await expired(ctx, sim, clock)
    browser.follow_redirects = True

    reads(await browser.get(link), 200, CONNECTED)

    [row] = await sign_ins(database)
    spent = await the_link(database)
    assert (row.status, row.grant_id, row.wanted_grant_id) == (AuthSessionStatus.DONE, grant_id, grant_id)
    assert (row.link_id, spent.opened_at, spent.spent_at) == (spent.id, clock(), clock())
    async with database.reading() as session:
        assert (await session.get_one(Grant, grant_id)).status is GrantStatus.VALID
    clock.forward(days=3)
    for _ in range(2):
        reads(await browser.get(link), 410, ALREADY)
    assert len(await sign_ins(database)) == 1


@only_sqlite
async def test_nylas_is_asked_for_the_account_and_the_scopes_that_are_wanted(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    grant_id, link = await expired(ctx, sim, clock)
    await connector_is(ctx, scope=["b", "a"])

    asked = await opens(browser, link)

    [row] = await sign_ins(database)
    assert (asked["provider"], asked["login_hint"]) == ("google", record_of(sim, grant_id).email)
    assert (asked["scope"], asked["response_type"]) == ("b a", "code")
    assert asked["redirect_uri"] == f"{WEB}/oauth/callback"
    assert len(asked["state"]) >= 43
    assert asked["code_challenge"] == code_challenge(ctx.keys.reveal(row, "code_verifier"))
    assert "credential_id" not in asked


@only_sqlite
@pytest.mark.parametrize(
    ("active", "in_bulk", "told"), [("x", False, True), ("mine", False, False), ("x", True, False)]
)
async def test_the_grants_own_oauth_client_is_asked_for_and_no_other_credential(
    browser: httpx.AsyncClient,
    sim: Running,
    database: Database,
    ctx: Context,
    clock: SetClock,
    active: str,
    in_bulk: bool,
    told: bool,
) -> None:
    """Not the connector's own client, which is there anyway; nor one that renews grants in bulk."""
    grant_id, link = await expired(ctx, sim, clock)
    async with database.writing() as session:
        await session.execute(update(Grant).values(credential_id="mine"))
    await connector_is(ctx, active_credential_id=active)
    if in_bulk:
        campaign_id, _ = await asked_for(ctx)
        done = CampaignItem(campaign_id=campaign_id, grant_id=grant_id, due_at=clock(), settled_at=clock())
        done.outcome, done.request_id = Outcome.DONE, "a-request"
        async with database.writing() as session:
            session.add(done)

    assert ((await opens(browser, link)).get("credential_id") == "mine") is told


@only_sqlite
async def test_whoever_opens_a_link_spends_nothing_of_it(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    """A scanner of mail opens links too."""
    _, link = await expired(ctx, sim, clock)
    for _ in range(3):
        assert (await browser.head(link)).status_code == 200
    assert await sign_ins(database) == []
    states = {(await opens(browser, link))["state"] for _ in range(5)}
    assert len(states) == 5
    browser.follow_redirects = True
    reads(await browser.get(link), 200, CONNECTED)


@only_sqlite
async def test_a_link_that_is_no_good_says_so_and_tells_nothing_else(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    grant_id, link = await expired(ctx, sim, clock)
    email = str(record_of(sim, grant_id).email)
    for wrong in (link[:-1], link + "x", "/reauth/x", "/reauth/%00", "/reauth/%3Cscript%3E", f"/reauth/{'x' * 5000}"):
        reads(await browser.get(wrong), 400, UNKNOWN)
    async with database.writing() as session:
        await session.execute(update(Grant).values(status=GrantStatus.DELETED))
    pages = [await browser.get(link)]
    async with database.writing() as session:
        await session.execute(update(Grant).values(status=GrantStatus.EXPIRED))
    clock.forward(hours=24)
    pages.append(await browser.get(link))
    clock.forward(hours=-24)
    async with database.writing() as session:
        await session.execute(update(ReauthLink).values(revoked_at=clock()))
    pages.append(await browser.get(link))
    for page in pages:
        reads(page, 410, CLOSED)
        assert email not in page.text
        assert page.text == pages[0].text
    assert await sign_ins(database) == []


@only_sqlite
async def test_a_link_is_revoked_also_for_those_who_are_at_nylas_already(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    grant_id, link = await expired(ctx, sim, clock)
    back = await consents_as(browser, sim, link, str(record_of(sim, grant_id).email))
    async with database.writing() as session:
        await links.revoke(session, [(await the_link(database)).id], now=clock())

    for _ in range(2):
        reads(await browser.get(back), 410, CLOSED)

    assert sim.state.calls.codes == {}
    [row] = await sign_ins(database)
    assert (row.status, row.reason, row.code_verifier) == (AuthSessionStatus.FAILED, "the link was revoked", None)


async def test_who_comes_back_as_somebody_else_is_told_and_tries_again_by_the_same_link(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    grant_id, link = await expired(ctx, sim, clock)
    email = str(record_of(sim, grant_id).email)
    forgotten = sim.state.books.by_email.pop(email)  # so Nylas does not refuse by itself

    page = await browser.get(await consents_as(browser, sim, link, BOB))

    reads(page, 409, ANOTHER)
    assert f'href="{link}"' in page.text
    assert BOB not in page.text
    assert email not in page.text
    async with database.reading() as session:
        assert (await session.get_one(Grant, grant_id)).status is GrantStatus.EXPIRED
        [other] = await session.scalars(select(Grant).where(col(Grant.email) == BOB))
    assert other.quarantined

    sim.state.books.by_email[email] = forgotten
    reads(await browser.get(await consents_as(browser, sim, link, email)), 200, CONNECTED)
    reads(await browser.get(link), 410, ALREADY)


@only_sqlite
async def test_another_account_that_nylas_refuses_by_itself_reads_the_same(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    _, link = await expired(ctx, sim, clock)

    reads(await browser.get(await consents_as(browser, sim, link, BOB)), 409, ANOTHER)
    sim.state.logins.consent = "auto"
    for name, said in (("error", "grant.reauth_email_invalid"), ("error_code", "grant.reauth_email_invalid")):
        back = {"error": "invalid_request", name: said}
        page = await browser.get(comes_back_with(state=(await opens(browser, link))["state"], **back))
        reads(page, 409, ANOTHER)
        assert f'href="{link}"' in page.text

    rows = await sign_ins(database)
    assert {row.status for row in rows} == {AuthSessionStatus.FAILED}
    assert {row.reason for row in rows} == {"another account was chosen, and Nylas refused it"}
    async with database.reading() as session:
        assert list(await session.scalars(select(Grant).where(col(Grant.quarantined).is_not(None)))) == []
        assert (
            list(await session.scalars(select(AuthSession.grant_id).where(col(AuthSession.grant_id).is_not(None))))
            == []
        )


@only_sqlite
async def test_a_user_who_says_no_may_think_again_by_the_same_link(
    browser: httpx.AsyncClient, sim: Running, ctx: Context, clock: SetClock
) -> None:
    _, link = await expired(ctx, sim, clock)
    page = await browser.get(comes_back_with(state=(await opens(browser, link))["state"], error="access_denied"))
    reads(page, 200, "Not connected")
    assert f'href="{link}"' in page.text


@only_sqlite
async def test_two_who_open_one_link_both_end_well(
    browser: httpx.AsyncClient, sim: Running, database: Database, ctx: Context, clock: SetClock
) -> None:
    """The user opened it twice; what was begun before the link was spent may be finished."""
    grant_id, link = await expired(ctx, sim, clock)
    email = str(record_of(sim, grant_id).email)
    first, second = [await consents_as(browser, sim, link, email) for _ in range(2)]
    for back in (second, first):
        reads(await browser.get(back), 200, CONNECTED)
    assert {row.grant_id for row in await sign_ins(database)} == {grant_id}


@only_sqlite
async def test_the_link_itself_is_in_no_log(
    browser: httpx.AsyncClient,
    sim: Running,
    ctx: Context,
    clock: SetClock,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    _, link = await expired(ctx, sim, clock)
    browser.follow_redirects = True
    reads(await browser.get(link), 200, CONNECTED)
    reads(await browser.get(link), 410, ALREADY)
    ours = [line.getMessage() for line in caplog.records if not line.name.startswith("http")]
    assert link.rpartition("/")[2].partition(".")[2] not in "\n".join(ours) + "".join(capfd.readouterr())
