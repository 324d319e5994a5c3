"""The five kinds of work that are killed: what was before, what arrives, and how long it is gone on with."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import aiohttp
from sqlmodel import SQLModel

from lifecycle import GrantStatus
from models import AuthSession, AuthSessionStatus, Grant
from models.auth_session import digest
from models.columns import new_id
from models.inbox import receive, told
from models.inserting import insert_new
from models.kinds import GRANT_EXPIRED, OAUTH_RETURNED, REAUTH_BULK_REQUESTED, SYNC_REQUESTED
from nylas_api import code_challenge, new_code_verifier
from simulator import Running
from simulator.books import Grant as NylasRecord
from storm.kills.life import POLICY, Arriving, Told
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.planning import write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.context import Context
from tasks.retirement_plans import approve, make_plan
from tasks.sync import sync

REDIRECT = "https://product.example/oauth/callback"
CREDENTIAL = "service-account"
LONG_AGO = timedelta(days=31)


@dataclass(slots=True)
class Ground:
    """What a case stands on: our tables, Nylas, and what was done there behind our back."""

    ctx: Context
    sim: Running
    imported: set[str] = field(default_factory=set)
    expiries: Counter[str] = field(default_factory=Counter)
    deleted: set[str] = field(default_factory=set)

    async def known(self, number: int, *, status: str = "valid", credential: str | None = None) -> list[str]:
        """Let Nylas have so many grants, and ourselves know them."""
        ids = self.new(number, status=status, credential=credential)
        await sync(self.ctx)
        self.imported |= set(ids)
        return ids

    def new(self, number: int, *, status: str = "valid", credential: str | None = None) -> list[str]:
        """Let Nylas have so many grants that we do not know."""
        return self.sim.state.books.seed(
            number, provider="google", status=status, domain="example.com", credential=credential
        )

    def expire(self, grant_id: str) -> None:
        """Let a grant expire, and tell nobody."""
        self.at_nylas(grant_id).grant_status = "invalid"
        self.expiries[grant_id] += 1

    def at_nylas(self, grant_id: str) -> NylasRecord:
        """Nylas' own record of a grant."""
        return self.sim.state.books.by_id[grant_id]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of work. What `prepare` returns is what `arrive` is told, in the process under test."""

    name: str
    prepare: Callable[[Ground], Awaitable[Told]]
    arrive: Arriving
    lasts: timedelta = timedelta(hours=1)


async def _some_expire(ground: Ground) -> Told:
    first, second, sound = await ground.known(3)
    ground.expire(first)
    ground.expire(second)
    return {"1": first, "2": second, "3": sound}


async def _hints_of_expiry(ctx: Context, told_of: Told) -> None:
    """Three grants have expired, it is said; of one it is not true."""
    now = ctx.now()
    events = [
        told(
            GRANT_EXPIRED,
            f"hint:{grant_id}",
            application_id=ctx.application_id,
            source="nylas",
            now=now,
            grant_id=grant_id,
            raw=json.dumps({"id": f"hint:{grant_id}"}).encode(),
            occurred_at=now,
        )
        for grant_id in told_of.values()
    ]
    async with ctx.database.writing() as session:
        new = await receive(session, events)
    ctx.ring(GRANT_EXPIRED, sorted(new))


async def _two_sign_in(ground: Ground) -> Told:
    """One user is new; the other's grant has expired."""
    [expired] = await ground.known(1, status="invalid")
    people = ["new@example.com", ground.at_nylas(expired).email]
    return {email: await _signed_in(ground.ctx, email) for email in people}


async def _signed_in(ctx: Context, email: str) -> str:
    state, verifier = f"state-of-{email}", new_code_verifier()
    url = ctx.nylas.auth.url(
        redirect_uri=REDIRECT,
        provider="google",
        state=state,
        login_hint=email,
        code_challenge=code_challenge(verifier),
    )
    async with aiohttp.ClientSession() as browser, browser.get(url, allow_redirects=False) as answer:
        [code] = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    return json.dumps({"id": str(new_id()), "state": state, "verifier": verifier, "code": code})


async def _they_come_back(ctx: Context, told_of: Told) -> None:
    for email, text in told_of.items():
        sign_in, now = json.loads(text), ctx.now()
        row = AuthSession(
            id=UUID(sign_in["id"]),
            application_id=ctx.application_id,
            status=AuthSessionStatus.RETURNED,
            provider="google",
            state_hash=digest(sign_in["state"]),
            browser_hash=digest("a browser"),
            redirect_uri=REDIRECT,
            login_hint=email,
            created_at=now,
            returned_at=now,
            expires_at=now + timedelta(minutes=10),
        )
        ctx.keys.seal(row, "code", sign_in["code"])
        ctx.keys.seal(row, "code_verifier", sign_in["verifier"])
        event = told(
            OAUTH_RETURNED,
            f"oauth:{row.id}",
            application_id=ctx.application_id,
            source="browser",
            now=now,
            raw=json.dumps({"auth_session": str(row.id)}).encode(),
        )
        async with ctx.database.writing() as session:
            await insert_new(session, AuthSession, [_columns(row)])
            new = await receive(session, [event])
        ctx.ring(OAUTH_RETURNED, list(new))


def _columns(row: SQLModel) -> dict[str, object]:
    return row.model_dump()


async def _many_are_dead(ground: Ground) -> Told:
    await ground.known(4, status="invalid", credential=CREDENTIAL)
    return {}


async def _campaign_is_asked_for(ctx: Context, _told_of: Told) -> None:
    request = CampaignRequest(filter=GrantFilter(), idempotency_key="of-the-kill-matrix")
    async with ctx.database.writing() as session:
        _, events = await write_campaign(session, ctx, request, source="cli", actor="an admin", now=ctx.now())
    ctx.ring(REAUTH_BULK_REQUESTED, list(events))


async def _much_has_changed(ground: Ground) -> Told:
    changed, gone, also_gone, *_ = await ground.known(6)
    ground.expire(changed)
    for grant_id in (gone, also_gone):
        ground.sim.state.books.delete(ground.at_nylas(grant_id))
        ground.deleted.add(grant_id)
    ground.new(2)
    return {}


async def _sync_is_asked_for(ctx: Context, _told_of: Told) -> None:
    event = told(
        SYNC_REQUESTED, "sync:of the kill matrix", application_id=ctx.application_id, source="cli", now=ctx.now()
    )
    async with ctx.database.writing() as session:
        new = await receive(session, [event])
    ctx.ring(SYNC_REQUESTED, list(new))


async def _long_dead(ground: Ground) -> Told:
    ctx, grant_ids = ground.ctx, await ground.known(3)
    async with ctx.database.writing() as session:
        for grant_id in grant_ids:
            ground.at_nylas(grant_id).grant_status = "invalid"
            ground.deleted.add(grant_id)
            grant = await session.get_one(Grant, grant_id)
            grant.status = GrantStatus.EXPIRED
            grant.expired_at = grant.expiry_seen_at = grant.confirm_at = grant.confirmed_at = ctx.now() - LONG_AGO
    assert POLICY.retirement is not None
    plan = (await make_plan(ctx, POLICY.retirement)).plan
    assert plan is not None
    return {"plan": str(plan.id)}


async def _plan_is_approved(ctx: Context, told_of: Told) -> None:
    await approve(ctx, UUID(told_of["plan"]), by="cli")


KINDS = (
    Kind("grant.expired", _some_expire, _hints_of_expiry, timedelta(days=2)),
    Kind("oauth.callback", _two_sign_in, _they_come_back),
    Kind("campaign", _many_are_dead, _campaign_is_asked_for),
    Kind("sync", _much_has_changed, _sync_is_asked_for),
    Kind("retirement", _long_dead, _plan_is_approved),
)
