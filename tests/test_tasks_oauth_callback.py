"""Returned sign-ins: each code goes to Nylas once, and becomes a grant or a reason."""

import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from lifecycle import GrantStatus
from models import AuthSessionStatus, Outcome
from models.kinds import OAUTH_RETURNED
from models.sealing import Keyring, Unsealable
from nylas_api import new_code_verifier
from simulator import Running
from tasks.context import Context
from tasks.oauth_callback import exchange_codes
from tests.conftest import SetClock, another_worker
from tests.stories import (
    all_grants,
    at_nylas,
    came_back,
    fails,
    history,
    known,
    moves,
    out_of_reach,
    stands,
    the_event,
    the_session,
)

TOKEN = "/v3/connect/token"
DONE = (AuthSessionStatus.DONE, Outcome.DONE)
FAILED = (AuthSessionStatus.FAILED, Outcome.FAILED)


async def test_a_code_becomes_a_valid_grant_and_leaves_no_secret_behind(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    sign_in = await came_back(ctx)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    [grant] = (await all_grants(ctx)).values()
    event, row = await the_event(ctx, sign_in.event_id), await the_session(ctx, sign_in)
    assert (grant.status, grant.email) == (GrantStatus.VALID, at_nylas(sim, grant.id).email)
    assert row.grant_id == event.grant_id == grant.id
    assert (event.reason, event.settled_at) == ("unknown → valid", clock())
    assert sim.state.calls.codes == {sign_in.code: 1}


async def test_a_code_without_its_verifier_is_worth_nothing(ctx: Context, sim: Running) -> None:
    sign_in = await came_back(ctx)
    row = await the_session(ctx, sign_in)
    ctx.keys.seal(row, "code_verifier", new_code_verifier())
    async with ctx.database.writing() as session:
        await session.merge(row)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == FAILED
    assert sim.state.books.by_id == {}


async def test_an_event_run_twice_at_once_exchanges_its_code_once(ctx: Context, sim: Running) -> None:
    sign_in = await came_back(ctx)
    ids = [sign_in.event_id]

    await asyncio.gather(*(exchange_codes.run(worker, ids) for worker in (ctx, ctx, another_worker(ctx))))
    await exchange_codes.run(ctx, ids)

    assert await stands(ctx, sign_in) == DONE
    assert sim.state.calls.codes == {sign_in.code: 1}


async def test_a_refused_code_ends_the_sign_in_with_the_reason_and_is_not_sent_again(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    sign_in = await came_back(ctx, code="made-up")
    for _ in range(2):
        await exchange_codes.run(ctx, [sign_in.event_id])
        clock.forward(minutes=1)

    assert await stands(ctx, sign_in) == FAILED
    reason = (await the_session(ctx, sign_in)).reason
    assert reason == (await the_event(ctx, sign_in.event_id)).reason
    assert reason is not None
    assert reason.startswith("Nylas refused: Nylas answered 400 (invalid_grant)")
    assert reason.endswith("the user must sign in again")
    assert "made-up" not in reason
    assert sim.state.calls.codes == {"made-up": 1}


async def test_one_refused_code_takes_no_other_sign_in_with_it(ctx: Context) -> None:
    bad, good = await came_back(ctx, code="made-up"), await came_back(ctx)

    await exchange_codes.run(ctx, [bad.event_id, good.event_id])

    assert await stands(ctx, bad) == FAILED
    assert await stands(ctx, good) == DONE


async def test_a_user_who_signs_in_again_keeps_the_grant(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    clock.forward(minutes=1)
    sign_in = await came_back(ctx, login_hint=at_nylas(sim, grant_id).email)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert (await the_session(ctx, sign_in)).grant_id == grant_id
    [transition] = await history(ctx, grant_id)
    assert (transition.cause, transition.event_id) == (OAUTH_RETURNED, sign_in.event_id)
    assert await moves(ctx) == ["expired → valid"]


async def test_a_code_that_cannot_have_reached_nylas_is_kept_for_later(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    sign_in = await came_back(ctx)
    async with out_of_reach(ctx) as cut_off:
        await exchange_codes.run(cut_off, [sign_in.event_id])
    assert await stands(ctx, sign_in) == (AuthSessionStatus.RETURNED, None)

    clock.time = (await the_event(ctx, sign_in.event_id)).due_at
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    assert sim.state.calls.codes == {sign_in.code: 1}


async def test_a_rate_limit_keeps_the_code_for_as_long_as_nylas_said(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    sign_in = await came_back(ctx)
    await fails(sim, TOKEN, status=429, headers={"Retry-After": "5"}, count=1)

    await exchange_codes.run(ctx, [sign_in.event_id])
    assert await stands(ctx, sign_in) == (AuthSessionStatus.RETURNED, None)
    assert (await the_event(ctx, sign_in.event_id)).due_at >= clock() + timedelta(seconds=5)

    clock.forward(minutes=1)
    await exchange_codes.run(ctx, [sign_in.event_id])
    assert await stands(ctx, sign_in) == DONE


async def test_a_code_whose_key_is_gone_ends_the_sign_in_unsent(ctx: Context, sim: Running) -> None:
    sign_in = await came_back(ctx)
    rekeyed = replace(ctx, keys=Keyring([secrets.token_bytes(32)]))

    with pytest.raises(Unsealable):
        await exchange_codes.run(rekeyed, [sign_in.event_id])

    assert await stands(ctx, sign_in) == FAILED
    assert sim.state.calls.codes == {}


async def test_a_grant_that_is_gone_before_we_could_look_is_no_successful_sign_in(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    sign_in = await came_back(ctx)
    await fails(sim, "/v3/grants/*", status=503, count=1)
    await exchange_codes.run(ctx, [sign_in.event_id])
    [record] = list(sim.state.books.by_id.values())
    sim.state.books.delete(record)
    clock.forward(minutes=1)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == FAILED
    assert await all_grants(ctx) == {}
