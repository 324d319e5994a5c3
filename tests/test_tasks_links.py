"""Re-authentication links: signed, for one grant and one day at most, worth nothing once revoked or spent."""

import secrets
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from lifecycle import GrantStatus, Policy
from models import Grant, ReauthLink
from models.columns import new_id
from models.sealing import Keyring
from simulator import Running
from tasks import links
from tasks.context import Context
from tasks.links import LinkStatus
from tests.conftest import SetClock
from tests.stories import known, the_grant

ONE_DAY = timedelta(hours=24)


async def minted(ctx: Context, grant: Grant) -> tuple[ReauthLink, str]:
    """A link for a grant, and its token."""
    async with ctx.database.writing() as session:
        link, url = await links.mint(ctx, session, grant, created_by="cli", now=ctx.now())
    start, _, token = url.rpartition("/")
    assert start == "http://localhost:8000/reauth"
    return link, token


async def found(ctx: Context, token: str) -> tuple[UUID, LinkStatus] | None:
    """What a token stands for now."""
    async with ctx.database.reading() as session:
        link = await links.read(ctx, session, token)
    return (link.id, links.status_of(link, now=ctx.now())) if link else None


async def test_a_link_is_good_for_its_grant_for_a_day(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    link, token = await minted(ctx, await the_grant(ctx, grant_id))

    assert (link.grant_id, link.created_by, link.expires_at) == (grant_id, "cli", clock() + ONE_DAY)
    assert await found(ctx, token) == (link.id, LinkStatus.OPEN)
    clock.time += ONE_DAY - timedelta(seconds=1)
    assert await found(ctx, token) == (link.id, LinkStatus.OPEN)
    clock.forward(seconds=1)
    assert await found(ctx, token) == (link.id, LinkStatus.EXPIRED)


async def test_a_link_lives_as_short_as_the_installation_wants(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    link, _ = await minted(
        replace(ctx, policy=Policy(link_lifetime=timedelta(hours=1))), await the_grant(ctx, grant_id)
    )
    assert link.expires_at == clock() + timedelta(hours=1)


async def test_the_token_is_kept_nowhere(ctx: Context, sim: Running) -> None:
    [grant_id] = await known(ctx, sim)
    _, token = await minted(ctx, await the_grant(ctx, grant_id))
    _, _, signature = token.partition(".")
    async with ctx.database.reading() as session:
        [row] = await session.scalars(select(ReauthLink))
    assert len(signature) == 43  # 256 bits
    assert signature not in repr(row.model_dump())


async def test_what_no_key_of_ours_signed_stands_for_nothing(ctx: Context, sim: Running) -> None:
    [grant_id] = await known(ctx, sim)
    link, token = await minted(ctx, await the_grant(ctx, grant_id))
    body, _, signature = token.partition(".")
    forged = links.token_of(Keyring([secrets.token_bytes(32)]), link.id)
    wrong = ["", ".", body, f"{body}.", f".{signature}", token[1:], token.swapcase(), f"{token}x", "é" + token, forged]
    for other in [*wrong, f"{token}.{signature}", token * 2, "x" * 100_000, str(link.id), f"{link.id}.{signature}"]:
        assert await found(ctx, other) is None, other
    assert await found(ctx, links.token_of(ctx.keys, new_id())) is None  # signed, and never written down


async def test_a_link_of_another_application_stands_for_nothing(ctx: Context, sim: Running) -> None:
    [grant_id] = await known(ctx, sim)
    _, token = await minted(ctx, await the_grant(ctx, grant_id))
    assert await found(replace(ctx, application_id=new_id()), token) is None


async def test_after_a_change_of_keys_old_links_go_on_and_new_ones_are_signed_by_the_new_key(
    ctx: Context, sim: Running
) -> None:
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    link_id = new_id()
    before, between, after = Keyring([old]), Keyring([new, old]), Keyring([new])

    token = links.token_of(before, link_id)
    assert links.id_in(between, token) == link_id
    assert links.id_in(after, token) is None
    assert links.id_in(after, links.token_of(between, link_id)) == link_id


async def test_a_revoked_link_is_worth_nothing(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    grant = await the_grant(ctx, grant_id)
    link, token = await minted(ctx, grant)
    other, others_token = await minted(ctx, grant)

    for revoked in (1, 0):
        async with ctx.database.writing() as session:
            assert await links.revoke(session, [link.id, new_id()], now=clock()) == revoked
    assert await found(ctx, token) == (link.id, LinkStatus.REVOKED)
    assert await found(ctx, others_token) == (other.id, LinkStatus.OPEN)


async def test_a_success_spends_all_links_of_the_grant_and_those_of_no_other(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    one, two = await known(ctx, sim, 2)
    tokens = [(await minted(ctx, await the_grant(ctx, grant_id)))[1] for grant_id in (one, one, one, two)]
    async with ctx.database.writing() as session:
        gone = await links.read(ctx, session, tokens[2])
        assert gone
        await links.revoke(session, [gone.id], now=clock())

    async with ctx.database.writing() as session:
        assert await links.spend(session, one, now=clock()) == 2

    clock.time += 2 * ONE_DAY  # who is connected is told so, however late
    standing = [(await found(ctx, token) or (None, None))[1] for token in tokens]
    assert standing == [LinkStatus.SPENT, LinkStatus.SPENT, LinkStatus.REVOKED, LinkStatus.EXPIRED]


@pytest.mark.parametrize(
    ("change", "because"),
    [({"status": GrantStatus.DELETED}, "it was deleted"), ({"provider": "virtual-calendar"}, "nobody signs in at")],
)
async def test_no_link_is_made_for_a_grant_that_no_user_can_renew(
    ctx: Context, sim: Running, change: dict[str, object], because: str
) -> None:
    [grant_id] = await known(ctx, sim)
    grant = await the_grant(ctx, grant_id)
    with pytest.raises(links.NotRenewable, match=because):
        await minted(ctx, grant.model_copy(update=change))
