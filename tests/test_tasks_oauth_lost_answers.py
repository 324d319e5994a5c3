"""Returned sign-ins whose answer was lost: made good by reading Nylas, never by sending the code again."""

import asyncio

import pytest

from lifecycle import GrantStatus
from models import AuthSessionStatus, Outcome
from simulator import Running
from tasks.context import STILL_AT_WORK, Context
from tasks.oauth_callback import exchange_codes
from tests.conftest import SetClock, another_worker
from tests.stories import (
    REDIRECT,
    at_nylas,
    came_back,
    died_while_exchanging,
    fails,
    known,
    moves,
    recovers,
    stands,
    the_event,
    the_grant,
    the_session,
    until,
)

TOKEN = "/v3/connect/token"
DONE = (AuthSessionStatus.DONE, Outcome.DONE)
FAILED = (AuthSessionStatus.FAILED, Outcome.FAILED)


@pytest.mark.parametrize("again", [False, True], ids=["a first sign-in", "a sign-in again"])
@pytest.mark.parametrize("mode", ["after_effect_drop", "half_close"])
async def test_a_lost_answer_is_made_good_by_reading_and_the_code_is_not_sent_again(
    ctx: Context, sim: Running, clock: SetClock, mode: str, again: bool
) -> None:
    hint, before = None, set[str]()
    if again:
        [grant_id, *_] = await known(ctx, sim, 100, status="invalid")
        hint, before = at_nylas(sim, grant_id).email, {grant_id}
        at_nylas(sim, grant_id).state = "of the first sign-in"  # which a later one does not change
    sign_in = await came_back(ctx, login_hint=hint)
    await fails(sim, TOKEN, mode=mode, count=1)

    await exchange_codes.run(ctx, [sign_in.event_id])
    assert await stands(ctx, sign_in) == (AuthSessionStatus.EXCHANGING, None)
    assert (await the_event(ctx, sign_in.event_id)).due_at >= clock() + STILL_AT_WORK

    clock.time += STILL_AT_WORK
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    grant_id = (await the_session(ctx, sign_in)).grant_id or ""
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID
    assert before <= {grant_id}
    assert sim.state.calls.codes == {sign_in.code: 1}


async def test_a_lost_answer_is_made_good_even_while_many_others_sign_in(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    """A campaign renews 50 grants a second, so more than one page of them is newer than ours."""
    others = await known(ctx, sim, 300)
    sign_in = await came_back(ctx)
    await fails(sim, TOKEN, mode="after_effect_drop", count=1)
    await exchange_codes.run(ctx, [sign_in.event_id])
    for grant_id in others:
        at_nylas(sim, grant_id).updated_at = int(clock().timestamp()) + 2
    sim.state.books.timelines["updated_at"].add_many([])

    clock.time += STILL_AT_WORK
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE


@pytest.mark.parametrize("hinted", [False, True])
async def test_a_code_lost_on_its_way_ends_the_sign_in_and_is_not_sent_again(
    ctx: Context, sim: Running, clock: SetClock, hinted: bool
) -> None:
    [grant_id, *_] = await known(ctx, sim, 100, status="invalid")
    sign_in = await came_back(ctx, login_hint=at_nylas(sim, grant_id).email if hinted else None)
    await fails(sim, TOKEN, mode="drop", count=1)

    await exchange_codes.run(ctx, [sign_in.event_id])
    clock.time += STILL_AT_WORK
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == FAILED
    reason = (await the_session(ctx, sign_in)).reason or ""
    assert reason.startswith("the answer to the code exchange was lost")
    assert sim.state.calls.codes == {sign_in.code: 1}
    assert await moves(ctx) == []


async def test_a_grant_that_expired_a_moment_ago_is_not_taken_for_what_came_of_a_code_lost_on_its_way(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim, 1, status="invalid")
    sign_in = await came_back(ctx, login_hint=at_nylas(sim, grant_id).email)
    await fails(sim, TOKEN, mode="drop", count=1)

    await exchange_codes.run(ctx, [sign_in.event_id])
    clock.time += STILL_AT_WORK
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == FAILED
    assert (await the_session(ctx, sign_in)).grant_id is None
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.EXPIRED


async def test_a_lost_answer_is_looked_for_until_nylas_can_be_read(ctx: Context, sim: Running, clock: SetClock) -> None:
    sign_in = await came_back(ctx)
    await fails(sim, TOKEN, mode="after_effect_drop", count=1)
    await fails(sim, "/v3/grants*", status=503)
    for _ in range(3):
        await exchange_codes.run(ctx, [sign_in.event_id])
        assert await stands(ctx, sign_in) == (AuthSessionStatus.EXCHANGING, None)
        clock.forward(minutes=1)
    await recovers(sim)

    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    assert sim.state.calls.codes == {sign_in.code: 1}


async def test_an_exchange_that_succeeded_is_kept_while_the_grant_cannot_be_read(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    sign_in = await came_back(ctx)
    await fails(sim, "/v3/grants/*", status=503, count=1)

    await exchange_codes.run(ctx, [sign_in.event_id])
    [grant_id] = sim.state.books.by_id
    assert (await the_session(ctx, sign_in)).grant_id == grant_id
    clock.forward(minutes=1)
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    assert sim.state.calls.codes == {sign_in.code: 1}


@pytest.mark.parametrize("exchanged", [False, True])
async def test_a_worker_that_died_with_the_code_in_hand_is_followed_by_reading_only(
    ctx: Context, sim: Running, clock: SetClock, exchanged: bool
) -> None:
    sign_in = await came_back(ctx)
    await died_while_exchanging(ctx, sign_in)
    if exchanged:
        await ctx.nylas.auth.exchange_code(code=sign_in.code, redirect_uri=REDIRECT, code_verifier=sign_in.verifier)
    sim.state.calls.codes.clear()

    await exchange_codes.run(ctx, [sign_in.event_id])
    event = await the_event(ctx, sign_in.event_id)
    assert (event.due_at, event.reason) == (clock() + STILL_AT_WORK, "an exchange may still be under way")
    clock.time += STILL_AT_WORK
    await exchange_codes.run(ctx, [sign_in.event_id])

    assert await stands(ctx, sign_in) == (DONE if exchanged else FAILED)
    assert sim.state.calls.codes == {}


async def test_a_worker_stopped_in_mid_exchange_leaves_it_to_the_next_to_read(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    sign_in = await came_back(ctx)
    await fails(sim, TOKEN, mode="hang_after_effect", delay_ms=150, count=1)
    stopped = asyncio.create_task(exchange_codes.run(ctx, [sign_in.event_id]))
    await until(lambda: len(sim.state.books.by_id) == 1)

    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    await exchange_codes.run(another_worker(ctx), [sign_in.event_id])
    clock.time += STILL_AT_WORK
    await exchange_codes.run(another_worker(ctx), [sign_in.event_id])

    assert await stands(ctx, sign_in) == DONE
    assert sim.state.calls.codes == {sign_in.code: 1}
