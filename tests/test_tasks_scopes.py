"""Who lacks a scope: found by the database as the rules have it, listed, and renewed by a campaign."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from lifecycle.scopes import missing
from models import Grant, KnownConnector, Outcome
from models.columns import new_id
from models.database import Database
from simulator import Running
from tasks.campaigns.starting import GrantFilter, start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tasks.scopes import a_scope, lacks
from tests.conftest import SetClock
from tests.front import only_sqlite, told
from tests.in_process import Command
from tests.stories import asked_for, at_nylas, known, seed, stored, the_items
from tests.test_lifecycle_scopes import LONG, SCOPES

SEND = f"{LONG}gmail.send"


async def lacking(ctx: Context, scope: str) -> set[str]:
    """The grants that lack a scope."""
    async with ctx.database.reading() as session:
        return set(await session.scalars(select(col(Grant.id)).where(lacks(ctx.application_id, scope))))


async def holding(ctx: Context, clock: SetClock, provider: str, *scopes: str) -> str:
    """Store a grant with these scopes."""
    grant = Grant(
        id=str(new_id()),
        application_id=ctx.application_id,
        provider=provider,
        status="valid",
        scope=list(scopes),
        as_of=clock(),
        first_seen_at=clock(),
        version=1,
    )
    await stored(ctx, grant)
    return grant.id


async def connector(ctx: Context, clock: SetClock, provider: str, *scopes: str) -> None:
    """Store a connector that asks for these scopes."""
    row = KnownConnector(application_id=ctx.application_id, provider=provider, scope=list(scopes), seen_at=clock())
    await stored(ctx, row)


async def test_the_database_finds_whom_the_rules_find(ctx: Context, clock: SetClock) -> None:
    grants = {
        await holding(ctx, clock, provider, *scopes): (provider, scopes)
        for provider in ("google", "microsoft", "yahoo")
        for scopes in ((), *((scope,) for scope in SCOPES), SCOPES)
    }

    for scope in SCOPES:
        short_of_it = {id for id, (provider, held) in grants.items() if missing([scope], held, provider=provider)}
        assert await lacking(ctx, scope) == short_of_it


async def test_only_grants_of_the_connectors_that_ask_for_a_scope_lack_it(ctx: Context, clock: SetClock) -> None:
    google, _microsoft = await holding(ctx, clock, "google"), await holding(ctx, clock, "microsoft")
    await connector(ctx, clock, "google", "openid", SEND)
    await connector(ctx, clock, "microsoft", "Mail.Send")

    assert await lacking(ctx, SEND) == {google}


async def test_what_no_connector_asks_for_yet_all_lack(ctx: Context, clock: SetClock) -> None:
    grants = {await holding(ctx, clock, "google"), await holding(ctx, clock, "microsoft")}
    await connector(ctx, clock, "google", "openid")

    assert await lacking(ctx, SEND) == grants


@pytest.mark.parametrize("text", ["", " ", "a b", "offline_access"])
def test_what_nobody_can_lack_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"without spaces|never told"):
        a_scope(text)
    with pytest.raises(ValueError, match="missing_scope"):
        GrantFilter(missing_scope=text)


async def test_a_campaign_can_be_for_those_that_lack_a_scope(ctx: Context, sim: Running) -> None:
    short_of_it, whole = await known(ctx, sim, 2, credential_id="account"), await known(ctx, sim)
    async with ctx.database.writing() as session:
        for grant_id in short_of_it:
            (await session.get_one(Grant, grant_id)).scope = ["openid"]
        (await session.get_one(Grant, whole[0])).scope = ["openid", SEND]

    campaign, event = await asked_for(ctx, {"missing_scope": SEND})
    await start_campaigns.run(ctx, [event])

    assert {item.grant_id for item in await the_items(ctx, campaign)} == set(short_of_it)


async def test_a_grant_of_the_connector_s_own_client_is_its_user_s_to_renew(ctx: Context, sim: Running) -> None:
    own = sim.state.connectors.by_provider["google"].active_credential_id
    [ordinary], [bulk] = seed(sim), seed(sim, credential_id="account")
    at_nylas(sim, ordinary).credential_id = own
    await known(ctx, sim)
    sim.state.calls.by_path.clear()

    campaign, event = await asked_for(ctx, {"provider": "google"})
    await start_campaigns.run(ctx, [event])
    await reauthenticate.run(ctx, [item.id for item in await the_items(ctx, campaign)])

    ended = {item.grant_id: item for item in await the_items(ctx, campaign)}
    assert ended[bulk].outcome is Outcome.DONE
    assert ended[ordinary].outcome is Outcome.SKIPPED
    assert (
        ended[ordinary].reason == "its credential is the connector's own OAuth client: only its user can sign in again"
    )
    assert sim.state.calls.by_path["POST /v3/connect/custom"] == 1


@only_sqlite
async def test_who_lacks_a_scope_is_listed_shown_and_counted(
    tmp_path: Path, database: Database, database_url: str, sim: Running
) -> None:
    evergrant = Command(told(tmp_path, DATABASE_URL=database_url, NYLAS_API_URI=sim.url))
    short_of_it, *_ = seed(sim, 3)
    sim.state.connectors.by_provider["google"].scope = ["openid", SEND]
    for grant in sim.state.books.by_id.values():
        grant.scope = ["openid", SEND]
    at_nylas(sim, short_of_it).scope = ["openid"]
    await evergrant("sync")

    listed = await evergrant("grants", "list", "--missing-scope", SEND, "--json")
    shown = await evergrant("grants", "show", short_of_it, "--json")
    planned = await evergrant("reauth", "--missing-scope", SEND, "--dry-run")
    wrong = [
        await evergrant("grants", "list", "--missing-scope", "a b"),
        await evergrant("reauth", "--missing-scope", "a b"),
    ]

    assert [grant["grant_id"] for grant in listed.data] == [short_of_it]
    assert shown.data["missing_scope"] == SEND
    assert "1 grants match" in planned.err
    for said in wrong:
        assert said.code == 2
        assert "--missing-scope: one scope, without spaces, is wanted" in said.err
