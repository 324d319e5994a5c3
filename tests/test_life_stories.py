"""Stories of whole lives: what today's systems get wrong, and what the product hears of it from us."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lifecycle import GrantStatus
from lifecycle.brake import Braked
from models import AuthSessionStatus, NoticeKind, Outcome
from models.kinds import GRANT_EXPIRED, GRANT_REPORTED, GRANT_UPDATED
from nylas_api import NylasClient, open_http
from tasks.brakes import put_on, release
from tests.conftest import API_KEY, CLIENT_ID, another_worker
from tests.life import Life, life
from tests.receiving import notices
from tests.stories import (
    REDIRECT,
    all_grants,
    at_nylas,
    came_back,
    died_while_exchanging,
    fails,
    hint,
    hints,
    known,
    moves,
    outcomes,
    recovers,
    stands,
    the_grant,
)

__all__ = ["life"]

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TOLD = ["grant.expired", "grant.reauth_required"]


async def one_grant(life: Life) -> str:
    """A grant that we know of, and of which all that is to be told was told."""
    [grant_id] = await known(life.ctx, life.sim)
    await life.passes(days=2)
    life.product.took.clear()
    return grant_id


async def dies(life: Life, grant_id: str) -> None:
    """Let the grant stop working, and Nylas say so."""
    at_nylas(life.sim, grant_id).grant_status = "invalid"
    await hint(life.ctx, GRANT_EXPIRED, grant_id)
    await life.work()


async def signs_in(life: Life, grant_id: str) -> None:
    """Let its user sign in again, and Nylas say so."""
    life.sim.state.books.touch(at_nylas(life.sim, grant_id))
    await hint(life.ctx, GRANT_UPDATED, grant_id)
    await life.work()


async def test_an_expiry_that_is_told_after_the_user_signed_in_again_says_nothing(life: Life) -> None:
    grant_id = await one_grant(life)
    await dies(life, grant_id)
    await life.passes(hours=1)
    await signs_in(life, grant_id)
    assert life.product.kinds == [*TOLD, "grant.recovered"]

    for minutes in (1, 20):
        await hint(life.ctx, GRANT_EXPIRED, grant_id, occurred_ago=timedelta(hours=1))
        await life.passes(minutes=minutes)

    assert life.product.kinds == [*TOLD, "grant.recovered"]
    assert await moves(life.ctx, grant_id) == ["valid → expired", "expired → valid"]


TROUBLES = {
    "too many calls": {"status": 429},
    "internal error": {"status": 500},
    "gateway timeout": {"status": 504, "body": "<html>504 Gateway Time-out</html>"},
    "a firewall's 403": {"status": 403, "body": "<html><title>Attention Required!</title></html>"},
    "a page instead of JSON": {"status": 200, "body": "<!doctype html><h1>Maintenance</h1>"},
    "a 401 of the provider": {"status": 401, "body": {"error": {"type": "provider_error", "message": "try again"}}},
    "no answer": {"mode": "drop"},
}


async def test_no_passing_failure_is_ever_taken_for_a_dead_grant(life: Life) -> None:
    """Each of them on a grant of its own, all at the same time."""
    grant_ids = await known(life.ctx, life.sim, len(TROUBLES))
    await life.passes(days=2)
    life.product.took.clear()
    for grant_id, trouble in zip(grant_ids, TROUBLES.values(), strict=True):
        await fails(life.sim, f"/v3/grants/{grant_id}", **trouble)
    await hints(life.ctx, GRANT_EXPIRED, *grant_ids)
    await life.passes(minutes=30)
    stand = {grant_id: grant.status for grant_id, grant in (await all_grants(life.ctx)).items()}
    assert stand == dict.fromkeys(grant_ids, GrantStatus.SUSPECT)

    await recovers(life.sim)
    await life.passes(minutes=15)

    for grant_id in grant_ids:
        assert await moves(life.ctx, grant_id) == ["valid → suspect", "suspect → valid"]
    assert life.product.kinds == []


@on_one_database
async def test_a_name_that_does_not_resolve_says_nothing_of_a_grant(life: Life) -> None:
    grant_id = await one_grant(life)
    await hint(life.ctx, GRANT_EXPIRED, grant_id)
    async with open_http(connections=1) as http:
        client = NylasClient(
            api_uri="http://nylas.invalid", api_key=API_KEY, client_id=CLIENT_ID, http=http, now=life.clock, attempts=1
        )
        away = Life(replace(life.ctx, nylas=client), life.sim, life.clock, life.rings, life.product)
        await away.passes(minutes=2)
    assert (await the_grant(life.ctx, grant_id)).status is GrantStatus.SUSPECT

    await life.passes(minutes=5)
    assert (await the_grant(life.ctx, grant_id)).status is GrantStatus.VALID
    assert life.product.kinds == []


async def test_a_thousand_failures_of_one_grant_are_one_notice(life: Life) -> None:
    grant_id = await one_grant(life)
    at_nylas(life.sim, grant_id).grant_status = "invalid"
    life.sim.state.calls.by_grant.clear()
    told = await hints(life.ctx, GRANT_EXPIRED, *[grant_id] * 500)
    told += await hints(life.ctx, GRANT_REPORTED, *[grant_id] * 500)

    await life.passes(hours=1)

    assert set(await outcomes(life.ctx, told)) == {Outcome.DONE}
    assert life.product.kinds == TOLD
    kinds = [notice.kind for notice in await notices(life.ctx, grant_id)]
    assert kinds.count(NoticeKind.EXPIRED) == 1
    assert await moves(life.ctx, grant_id) == ["valid → expired"]
    assert life.sim.state.calls.by_grant[grant_id].total() <= 1_000 / 200 + 2, (
        "a look for each message, not for each event"
    )


@on_one_database
async def test_a_grant_that_comes_and_goes_is_told_of_only_when_it_stays_away(life: Life) -> None:
    grant_id = await one_grant(life)
    for _ in range(5):
        await dies(life, grant_id)
        await life.passes(seconds=100)
        await signs_in(life, grant_id)
        await life.passes(minutes=3)
    assert life.product.kinds == []
    assert (await the_grant(life.ctx, grant_id)).flaps == 4

    await dies(life, grant_id)
    await life.passes(minutes=59)
    assert life.product.kinds == [], "each time that it came and went doubles the wait for the second look"
    await life.passes(minutes=2)
    assert life.product.kinds == TOLD

    await signs_in(life, grant_id)
    await life.passes(days=2)
    life.product.took.clear()
    await dies(life, grant_id)
    await life.passes(minutes=3)
    assert life.product.kinds == TOLD, "a calm day ends it"


@on_one_database
async def test_a_grant_that_works_is_not_taken_for_one_that_comes_and_goes_by_being_looked_at(life: Life) -> None:
    grant_id = await one_grant(life)
    await dies(life, grant_id)
    await signs_in(life, grant_id)
    for _ in range(8):
        await hint(life.ctx, GRANT_UPDATED, grant_id)
        await life.passes(minutes=1)

    await dies(life, grant_id)
    grant = await the_grant(life.ctx, grant_id)

    assert grant.confirm_at is not None
    assert (grant.flaps, grant.confirm_at - life.clock()) == (1, timedelta(minutes=4))


@on_one_database
async def test_a_grant_that_recovered_and_is_flagged_again_is_told_of_as_a_new_expiry(life: Life) -> None:
    grant_id = await one_grant(life)
    await dies(life, grant_id)
    await life.passes(hours=1)
    await signs_in(life, grant_id)
    await life.passes(hours=1)
    first = [event["id"] for event in life.product.took]

    await dies(life, grant_id)
    died_at = life.clock()
    await life.passes(hours=1)

    assert life.product.kinds == [*TOLD, "grant.recovered", *TOLD]
    assert len({event["id"] for event in life.product.took}) == len(first) + 2
    assert life.product.of("grant.expired")[1]["expired_at"] == died_at.isoformat()
    assert (await the_grant(life.ctx, grant_id)).expired_at == died_at
    sequence = [event["data"]["sequence"] for event in life.product.took]
    assert sequence == sorted(set(sequence))


async def test_reminders_go_on_their_days_and_end_with_the_recovery_and_its_gap(life: Life) -> None:
    grant_id = await one_grant(life)
    await dies(life, grant_id)
    died_at = life.clock()
    await life.passes(days=5)
    assert life.product.kinds == ["grant.expired", *["grant.reauth_required"] * 3]

    await signs_in(life, grant_id)
    back_at = life.clock()
    await life.passes(days=30)

    assert life.product.kinds[4:] == ["grant.recovered", "grant.gap"]
    [gap] = life.product.of("grant.gap")
    assert gap["since"] == died_at.isoformat()
    assert abs((back_at - died_at).total_seconds() - 5 * 86400) <= 2


async def test_a_gap_that_is_not_told_yet_when_the_next_one_ends_is_told_with_it(life: Life) -> None:
    """The brake is on for a week, and what waits for it is one notice of a kind."""
    grant_id = await one_grant(life)
    await dies(life, grant_id)
    first = life.clock()
    await life.passes(days=4)
    async with life.ctx.database.writing() as session:
        await put_on(life.ctx, session, Braked.NOTICES, now=life.clock())

    await signs_in(life, grant_id)
    await life.passes(hours=1)
    await dies(life, grant_id)
    await life.passes(days=4)
    await signs_in(life, grant_id)
    await life.passes(minutes=1)
    last = life.clock()
    life.product.took.clear()

    async with life.ctx.database.writing() as session:
        await release(life.ctx, session, Braked.NOTICES, "all is well", now=life.clock())
    await life.passes(minutes=5)
    [gap] = life.product.of("grant.gap")
    assert gap["since"] == first.isoformat()
    assert last - timedelta(minutes=2) < datetime.fromisoformat(gap["until"]) <= last


@pytest.mark.parametrize("crashed", [False, True], ids=["called back twice", "crashed after the exchange"])
async def test_a_user_who_comes_back_is_told_of_once_however_the_callback_went(life: Life, crashed: bool) -> None:
    grant_id = await one_grant(life)
    await dies(life, grant_id)
    await life.passes(hours=1)
    life.product.took.clear()
    sign_in = await came_back(life.ctx, login_hint=at_nylas(life.sim, grant_id).email)
    if crashed:
        await died_while_exchanging(life.ctx, sign_in)
        nylas = life.ctx.nylas.auth
        await nylas.exchange_code(code=sign_in.code, redirect_uri=REDIRECT, code_verifier=sign_in.verifier)
    twin = Life(another_worker(life.ctx), life.sim, life.clock, life.rings, life.product)

    await asyncio.gather(life.work(), twin.work())
    await life.passes(hours=1)

    assert await stands(life.ctx, sign_in) == (AuthSessionStatus.DONE, Outcome.DONE)
    assert life.sim.state.calls.codes == {sign_in.code: 1}
    assert life.product.kinds == ["grant.recovered"]
    assert (await the_grant(life.ctx, grant_id)).status is GrantStatus.VALID
