"""Hints about grants while Nylas, the network, or the worker itself is in trouble."""

from datetime import timedelta

import pytest

from lifecycle import GrantStatus
from models import Outcome
from models.kinds import GRANT_CREATED, GRANT_DELETED, GRANT_EXPIRED, GRANT_UPDATED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import confirm_deletion, confirm_expiry, look_at_created, look_at_updated
from tests.conftest import SetClock
from tests.stories import (
    at_nylas,
    fails,
    hint,
    hints,
    history,
    known,
    moves,
    out_of_reach,
    outcomes,
    recovers,
    the_event,
    the_grant,
)

ONE_GRANT = "/v3/grants/*"
UNAVAILABLE = {"status": 503}
DROPPED = {"mode": "drop"}
CUT_SHORT = {"mode": "half_close"}
PROXY_404 = {"status": 404, "body": "<html><h1>404 Not Found</h1></html>"}
GARBAGE = {"status": 200, "body": "<html>all is well</html>"}
UNKNOWN_WORD = {"status": 200, "body": {"data": {"id": "g", "provider": "google", "created_at": 1}}}
TROUBLES = {
    "unavailable": UNAVAILABLE,
    "dropped": DROPPED,
    "cut short": CUT_SHORT,
    "a proxy's 404": PROXY_404,
    "garbage": GARBAGE,
    "no status": UNKNOWN_WORD,
}
in_every_trouble = pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())


@in_every_trouble
async def test_a_grant_said_to_have_died_is_suspect_until_nylas_can_be_asked(
    ctx: Context, sim: Running, clock: SetClock, trouble: dict[str, object]
) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)
    await fails(sim, ONE_GRANT, **trouble)

    await confirm_expiry.run(ctx, [event_id])

    event, grant = await the_event(ctx, event_id), await the_grant(ctx, grant_id)
    assert (event.settled_at, event.claim_token, event.lease_until) == (None, None, None)
    assert event.due_at > clock()
    assert event.reason
    assert (grant.status, grant.expired_at) == (GrantStatus.SUSPECT, None)

    await recovers(sim)
    clock.time = event.due_at
    await confirm_expiry.run(ctx, [event_id])

    event, grant = await the_event(ctx, event_id), await the_grant(ctx, grant_id)
    assert (event.outcome, event.reason, event.attempts) == (Outcome.DONE, "suspect → valid", 2)
    assert await moves(ctx) == ["valid → suspect", "suspect → valid"]
    assert {row.event_id for row in await history(ctx)} == {event_id}


@in_every_trouble
@pytest.mark.parametrize("kind", [GRANT_CREATED, GRANT_UPDATED, GRANT_DELETED])
async def test_no_other_hint_makes_a_grant_suspect_or_deleted(
    ctx: Context, sim: Running, clock: SetClock, kind: str, trouble: dict[str, object]
) -> None:
    task = {GRANT_CREATED: look_at_created, GRANT_UPDATED: look_at_updated, GRANT_DELETED: confirm_deletion}[kind]
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    event_id = await hint(ctx, kind, grant_id)
    await fails(sim, ONE_GRANT, **trouble)

    await task.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert event.settled_at is None
    assert event.due_at > clock()
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID
    assert await moves(ctx) == []


async def test_a_suspect_grant_that_nylas_calls_invalid_has_expired(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)
    await fails(sim, ONE_GRANT, count=1, **UNAVAILABLE)
    at_nylas(sim, grant_id).grant_status = "invalid"

    await confirm_expiry.run(ctx, [event_id])
    clock.forward(minutes=1)
    await confirm_expiry.run(ctx, [event_id])

    assert await moves(ctx) == ["valid → suspect", "suspect → expired"]


async def test_a_hint_older_than_our_last_look_raises_no_suspicion(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id, occurred_ago=timedelta(hours=1))
    await fails(sim, ONE_GRANT, **UNAVAILABLE)

    await confirm_expiry.run(ctx, [event_id])

    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID
    assert (await the_event(ctx, event_id)).settled_at is None


async def test_each_failure_makes_the_next_wait_longer(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_UPDATED, grant_id)
    waits = []
    async with out_of_reach(ctx) as cut_off:
        for _ in range(5):
            await look_at_updated.run(cut_off, [event_id])
            event = await the_event(ctx, event_id)
            waits.append(event.due_at - clock())
            clock.time = event.due_at

    assert waits == sorted(waits)
    assert waits[0] <= timedelta(seconds=2) < timedelta(seconds=10) <= waits[-1]


async def test_an_event_is_not_touched_before_it_is_due(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_UPDATED, grant_id)
    await fails(sim, ONE_GRANT, count=1, **UNAVAILABLE)
    await look_at_updated.run(ctx, [event_id])

    await look_at_updated.run(ctx, [event_id])

    assert (await the_event(ctx, event_id)).attempts == 1
    assert sim.state.calls.by_grant[grant_id].total() == 1


async def test_a_refused_api_key_says_nothing_about_the_grant_and_the_event_waits(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)
    await fails(sim, "/v3/*", status=401)

    await confirm_expiry.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert (event.settled_at, event.due_at) == (None, clock() + timedelta(seconds=5))
    assert event.reason is not None
    assert event.reason.startswith("Nylas answered 401")
    assert "API key" in event.reason
    assert await moves(ctx) == []


async def test_a_grant_that_alone_is_refused_is_not_taken_for_dead(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)
    await fails(sim, ONE_GRANT, status=401)

    await confirm_expiry.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert event.settled_at is None
    assert await moves(ctx) == []


async def test_a_rate_limit_leaves_the_event_open_for_at_least_as_long_as_nylas_said(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_UPDATED, grant_id)
    await fails(sim, ONE_GRANT, status=429, headers={"Retry-After": "30"})

    await look_at_updated.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert event.settled_at is None
    assert timedelta(seconds=30) <= event.due_at - clock() < timedelta(seconds=60)


async def test_one_grant_in_trouble_holds_up_no_other_of_its_message(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    grant_ids = await known(ctx, sim, 5)
    clock.forward(minutes=1)
    told = await hints(ctx, GRANT_UPDATED, *grant_ids)
    await fails(sim, f"/v3/grants/{grant_ids[2]}", **DROPPED)

    await look_at_updated.run(ctx, told)

    assert await outcomes(ctx, told) == [Outcome.DONE, Outcome.DONE, None, Outcome.DONE, Outcome.DONE]


async def test_nylas_own_refusal_of_one_grant_ends_its_event_with_the_reason(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)
    await fails(sim, ONE_GRANT, status=423)

    await confirm_expiry.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert event.outcome is Outcome.FAILED
    assert event.reason is not None
    assert "423" in event.reason
    assert event.request_id
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID


async def test_an_answer_about_another_grant_is_not_taken_for_this_one(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    mine, other = await known(ctx, sim, 2)
    clock.forward(minutes=1)
    at_nylas(sim, other).grant_status = "invalid"
    event_id = await hint(ctx, GRANT_UPDATED, mine)
    await fails(sim, f"/v3/grants/{mine}", status=200, body={"data": at_nylas(sim, other).view()})

    await look_at_updated.run(ctx, [event_id])

    grant = await the_grant(ctx, mine)
    assert (grant.status, grant.email) == (GrantStatus.VALID, at_nylas(sim, mine).email)
    assert (await the_event(ctx, event_id)).settled_at is None
