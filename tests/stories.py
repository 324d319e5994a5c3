"""Small builders that the stories of the tasks share: grants at Nylas, events in the inbox, bad days."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from sqlalchemy import select, update
from sqlmodel import SQLModel, col

from models import (
    AuthSession,
    AuthSessionStatus,
    Campaign,
    CampaignItem,
    CampaignStatus,
    Event,
    Grant,
    Outcome,
    Transition,
)
from models.auth_session import digest
from models.columns import new_id
from models.inbox import told
from models.kinds import OAUTH_RETURNED, REAUTH_BULK_REQUESTED
from nylas_api import HttpClient, NylasClient, code_challenge, new_code_verifier, open_http
from simulator import Running
from simulator.books import Grant as NylasRecord
from tasks.context import Context
from tasks.sync import sync
from tests.conftest import API_KEY, CLIENT_ID
from tests.rows import as_row

REDIRECT = "https://product.example/oauth/callback"


def seed(
    sim: Running,
    number: int = 1,
    *,
    status: str = "valid",
    provider: str = "google",
    credential_id: str | None = None,
) -> list[str]:
    """Let Nylas have so many grants, and tell nobody."""
    return sim.state.books.seed(
        number, provider=provider, status=status, domain="example.com", credential=credential_id
    )


async def known(
    ctx: Context,
    sim: Running,
    number: int = 1,
    *,
    status: str = "valid",
    provider: str = "google",
    credential_id: str | None = None,
) -> list[str]:
    """Let Nylas have so many grants, and ourselves know of them."""
    ids = seed(sim, number, status=status, provider=provider, credential_id=credential_id)
    await sync(ctx)
    sim.state.calls.by_grant.clear()
    sim.state.calls.by_path.clear()
    return ids


def at_nylas(sim: Running, grant_id: str) -> NylasRecord:
    """Nylas' own record of a grant, for changing behind our back."""
    return sim.state.books.by_id[grant_id]


async def fails(sim: Running, path: str, **how: object) -> None:
    """Let calls on this path fail; without a count, until `recovers`."""
    async with httpx.AsyncClient(base_url=sim.url) as http:
        answer = await http.post("/_sim/faults", json={"path": path, **how})
        assert answer.status_code == 200, answer.text


async def recovers(sim: Running) -> None:
    """Let no more calls fail."""
    async with httpx.AsyncClient(base_url=sim.url) as http:
        await http.delete("/_sim/faults")


async def stored(ctx: Context, *rows: SQLModel) -> None:
    """Put rows into the database, as they are."""
    async with ctx.database.writing() as session:
        session.add_all(as_row(row) for row in rows)


async def hints(ctx: Context, kind: str, *grant_ids: str | None, occurred_ago: timedelta = timedelta()) -> list[UUID]:
    """Put a hint about each grant into the inbox; return the ids of the events."""
    now = ctx.now()
    events = [
        told(
            kind,
            f"test:{new_id()}",
            application_id=ctx.application_id,
            source="nylas",
            now=now,
            grant_id=grant_id,
            occurred_at=now - occurred_ago,
        )
        for grant_id in grant_ids
    ]
    await stored(ctx, *events)
    return [event.id for event in events]


async def hint(ctx: Context, kind: str, grant_id: str | None, *, occurred_ago: timedelta = timedelta()) -> UUID:
    """Put one hint into the inbox; return the event's id."""
    [event_id] = await hints(ctx, kind, grant_id, occurred_ago=occurred_ago)
    return event_id


async def outcomes(ctx: Context, event_ids: Sequence[UUID]) -> list[Outcome | None]:
    """Read how events ended, in the order of the ids."""
    async with ctx.database.reading() as session:
        rows = await session.scalars(select(Event).where(col(Event.id).in_(event_ids)))
        ended = {row.id: row.outcome for row in rows}
    return [ended[event_id] for event_id in event_ids]


async def the_event(ctx: Context, event_id: UUID) -> Event:
    """Read an event."""
    async with ctx.database.reading() as session:
        return await session.get_one(Event, event_id)


async def the_grant(ctx: Context, grant_id: str) -> Grant:
    """Read a grant that must be there."""
    async with ctx.database.reading() as session:
        return await session.get_one(Grant, grant_id)


async def all_grants(ctx: Context) -> dict[str, Grant]:
    """Read all grants, by their ids."""
    async with ctx.database.reading() as session:
        return {grant.id: grant for grant in await session.scalars(select(Grant))}


async def history(ctx: Context, *grant_ids: str) -> list[Transition]:
    """Read how grants that we knew already moved on, in order; of all grants if none is named."""
    moved = select(Transition).where(col(Transition.old_status).is_not(None)).order_by(col(Transition.id))
    async with ctx.database.reading() as session:
        rows = (await session.scalars(moved)).all()
    return [row for row in rows if not grant_ids or row.grant_id in grant_ids]


async def moves(ctx: Context, *grant_ids: str) -> list[str]:
    """Read the same in words."""
    return [f"{row.old_status} → {row.new_status}" for row in await history(ctx, *grant_ids)]


@dataclass(frozen=True)
class SignIn:
    """A user who came back: the session's and the event's id, and what only the test still knows."""

    id: UUID
    event_id: UUID
    code: str
    verifier: str


async def came_back(ctx: Context, *, login_hint: str | None = None, code: str | None = None) -> SignIn:
    """Let a user sign in at Nylas and come back with a code, or with one that somebody made up."""
    state, verifier = secrets.token_urlsafe(32), new_code_verifier()
    challenge = code_challenge(verifier)
    url = ctx.nylas.auth.url(
        redirect_uri=REDIRECT, provider="google", state=state, login_hint=login_hint, code_challenge=challenge
    )
    async with httpx.AsyncClient() as browser:
        back = parse_qs(urlsplit((await browser.get(url)).headers["location"]).query)
    assert back["state"] == [state]
    row = AuthSession(
        id=new_id(),
        application_id=ctx.application_id,
        status=AuthSessionStatus.RETURNED,
        provider="google",
        state_hash=digest(state),
        browser_hash=digest("a browser"),
        redirect_uri=REDIRECT,
        login_hint=login_hint,
        created_at=ctx.now(),
        returned_at=ctx.now(),
        expires_at=ctx.now() + timedelta(minutes=10),
    )
    sign_in = SignIn(row.id, new_id(), code or back["code"][0], verifier)
    ctx.keys.seal(row, "code", sign_in.code)
    ctx.keys.seal(row, "code_verifier", verifier)
    event = told(
        OAUTH_RETURNED,
        f"oauth:{row.id}",
        application_id=ctx.application_id,
        source="browser",
        now=ctx.now(),
        raw=json.dumps({"auth_session": str(row.id)}).encode(),
    )
    event.id = sign_in.event_id
    await stored(ctx, row, event)
    return sign_in


async def the_session(ctx: Context, sign_in: SignIn) -> AuthSession:
    """Read the row of a sign-in."""
    async with ctx.database.reading() as session:
        return await session.get_one(AuthSession, sign_in.id)


async def stands(ctx: Context, sign_in: SignIn) -> tuple[AuthSessionStatus, Outcome | None]:
    """How the session and its event stand. A session that has ended keeps no secret."""
    row, event = await the_session(ctx, sign_in), await the_event(ctx, sign_in.event_id)
    ended = row.status not in (AuthSessionStatus.RETURNED, AuthSessionStatus.EXCHANGING)
    assert (row.code is None, row.code_verifier is None, row.ended_at is not None) == (ended, ended, ended)
    return row.status, event.outcome


async def died_while_exchanging(ctx: Context, sign_in: SignIn) -> None:
    """Leave the session as a worker does that dies right after it wrote that it will send the code."""
    intent = {"status": AuthSessionStatus.EXCHANGING, "exchange_started_at": ctx.now()}
    async with ctx.database.writing() as session:
        await session.execute(update(AuthSession).where(col(AuthSession.id) == sign_in.id).values(intent))


async def asked_for(
    ctx: Context, grants: dict[str, str] | None = None, *, campaign_id: UUID | None = None
) -> tuple[UUID, UUID]:
    """Ask for a campaign over the grants that the filter names, or ask again; return its id and the event's."""
    now = ctx.now()
    if campaign_id is None:
        campaign_id = new_id()
        planned = Campaign(
            id=campaign_id,
            application_id=ctx.application_id,
            status=CampaignStatus.PLANNED,
            filter=grants or {},
            created_at=now,
        )
        await stored(ctx, planned)
    raw = json.dumps({"campaign": str(campaign_id)}).encode()
    key = f"test:{new_id()}"
    event = told(REAUTH_BULK_REQUESTED, key, application_id=ctx.application_id, source="admin", now=now, raw=raw)
    await stored(ctx, event)
    return campaign_id, event.id


async def the_campaign(ctx: Context, campaign_id: UUID) -> Campaign:
    """Read a campaign."""
    async with ctx.database.reading() as session:
        return await session.get_one(Campaign, campaign_id)


async def the_items(ctx: Context, campaign_id: UUID) -> list[CampaignItem]:
    """Read the items of a campaign."""
    of_it = select(CampaignItem).where(col(CampaignItem.campaign_id) == campaign_id).order_by(col(CampaignItem.id))
    async with ctx.database.reading() as session:
        return list((await session.scalars(of_it)).all())


async def until(it_is_so: Callable[[], bool]) -> None:
    """Wait for something that another task is about to do."""
    async with asyncio.timeout(10):
        while not it_is_so():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0.002)


@asynccontextmanager
async def out_of_reach(ctx: Context) -> AsyncIterator[Context]:
    """The same worker with nobody behind Nylas' address: every connection is refused."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with open_http(connections=5) as http:
        yield replace(ctx, nylas=_client(ctx, f"http://127.0.0.1:{port}", http))


async def mistaken(ctx: Context) -> Context:
    """The same worker with a mistake in its set-up: its HTTP client is closed already."""
    http = open_http(connections=1)
    await http.aclose()
    return replace(ctx, nylas=_client(ctx, "http://127.0.0.1:9", http))


def _client(ctx: Context, url: str, http: HttpClient) -> NylasClient:
    return NylasClient(api_uri=url, api_key=API_KEY, client_id=CLIENT_ID, http=http, now=ctx.now)
