"""Hints about grants: each is only a reason to look, and what Nylas says then is what counts."""

import asyncio
from itertools import permutations
from uuid import UUID

import pytest

from lifecycle import GrantStatus
from models import Outcome
from models.kinds import GRANT_CREATED, GRANT_DELETED, GRANT_EXPIRED, GRANT_UPDATED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import PARKED_FOR, confirm_deletion, confirm_expiry, look_at_created, look_at_updated
from tests.conftest import SetClock
from tests.stories import all_grants, at_nylas, hint, hints, history, known, moves, outcomes, seed, the_event, the_grant

TASKS = {
    GRANT_CREATED: look_at_created,
    GRANT_UPDATED: look_at_updated,
    GRANT_EXPIRED: confirm_expiry,
    GRANT_DELETED: confirm_deletion,
}
every_kind = pytest.mark.parametrize("kind", TASKS)
STRANGER = "6e5e2a7c-0000-4000-8000-000000000000"


async def test_a_confirmed_expiry_is_recorded_with_its_cause_and_nylas_request_id(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    at_nylas(sim, grant_id).grant_status = "invalid"
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)

    await confirm_expiry.run(ctx, [event_id])

    event, grant, [transition] = (
        await the_event(ctx, event_id),
        await the_grant(ctx, grant_id),
        await history(ctx, grant_id),
    )
    assert (transition.old_status, transition.new_status) == (GrantStatus.VALID, GrantStatus.EXPIRED)
    assert (transition.cause, transition.event_id) == (GRANT_EXPIRED, event_id)
    assert transition.request_id == event.request_id is not None
    assert (grant.status, grant.expired_at, grant.as_of) == (GrantStatus.EXPIRED, clock(), clock())
    assert (event.outcome, event.reason, event.settled_at) == (Outcome.DONE, "valid → expired", clock())
    assert (event.claim_token, event.lease_until, event.attempts) == (None, None, 1)


@pytest.mark.parametrize("batches", [[2], [1, 1]])
async def test_an_expiry_told_twice_is_recorded_once(
    ctx: Context, sim: Running, clock: SetClock, batches: list[int]
) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    at_nylas(sim, grant_id).grant_status = "invalid"

    told: list[UUID] = []
    for times in batches:
        told += (batch := await hints(ctx, GRANT_EXPIRED, *[grant_id] * times))
        await confirm_expiry.run(ctx, batch)
        clock.forward(seconds=1)

    assert await moves(ctx) == ["valid → expired"]
    assert await outcomes(ctx, told) == [Outcome.DONE, Outcome.DONE]
    assert sim.state.calls.by_grant[grant_id] == {"GET /v3/grants/{id}": len(batches)}


async def test_an_event_that_is_settled_is_not_looked_at_again(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_UPDATED, grant_id)
    await look_at_updated.run(ctx, [event_id])
    clock.forward(minutes=1)

    await look_at_updated.run(ctx, [event_id])

    assert (await the_event(ctx, event_id)).attempts == 1
    assert sim.state.calls.by_grant[grant_id] == {"GET /v3/grants/{id}": 1}


async def test_a_late_notice_does_not_undo_a_fresh_sign_in(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)

    await confirm_expiry.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert (event.outcome, event.reason) == (Outcome.DONE, "Nylas says valid: no change")
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID
    assert await moves(ctx) == []


async def test_a_user_who_signed_in_again_makes_the_grant_valid(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim, status="invalid")
    assert (await the_grant(ctx, grant_id)).expired_at == clock()
    clock.forward(minutes=1)
    sim.state.books.touch(at_nylas(sim, grant_id))

    await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])

    grant = await the_grant(ctx, grant_id)
    assert (grant.status, grant.expired_at) == (GrantStatus.VALID, None)
    assert grant.authenticated_at is not None
    assert int(grant.authenticated_at.timestamp()) == at_nylas(sim, grant_id).updated_at
    assert await moves(ctx) == ["expired → valid"]


async def test_in_whatever_order_the_hints_come_a_grant_ends_as_nylas_has_it(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    orders = list(permutations(TASKS))
    grant_ids = await known(ctx, sim, len(orders))
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"

    for step in range(len(TASKS)):
        clock.forward(seconds=1)
        for kind, task in TASKS.items():
            about = [grant_id for grant_id, order in zip(grant_ids, orders, strict=True) if order[step] == kind]
            await task.run(ctx, await hints(ctx, kind, *about))

    assert {grant.status for grant in (await all_grants(ctx)).values()} == {GrantStatus.EXPIRED}
    assert await moves(ctx) == ["valid → expired"] * len(orders)


async def test_a_created_grant_that_we_never_knew_is_adopted(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = seed(sim, credential_id="service-account")
    event_id = await hint(ctx, GRANT_CREATED, grant_id)

    await look_at_created.run(ctx, [event_id])

    grant, theirs = await the_grant(ctx, grant_id), at_nylas(sim, grant_id)
    assert (grant.status, grant.email, grant.provider) == (GrantStatus.VALID, theirs.email, "google")
    assert (grant.scope, grant.credential_id) == (theirs.scope, "service-account")
    assert (grant.first_seen_at, grant.as_of) == (clock(), clock())
    assert (await the_event(ctx, event_id)).reason == "unknown → valid"


@every_kind
async def test_a_hint_about_a_grant_that_nobody_has_is_parked_for_a_while_and_leaves_no_row(
    ctx: Context, clock: SetClock, kind: str
) -> None:
    """Nylas' records may lag behind what it tells. A deletion is no news of what was not ours."""
    began, event_id = clock(), await hint(ctx, kind, STRANGER)
    tries = 0
    while (event := await the_event(ctx, event_id)).settled_at is None:
        clock.time = max(clock(), event.due_at)
        await TASKS[kind].run(ctx, [event_id])
        tries += 1

    assert (event.outcome, event.reason) == (Outcome.IGNORED, "neither Nylas nor we know this grant")
    assert event.settled_at == (began if kind == GRANT_DELETED else began + PARKED_FOR)
    assert (tries == 1) is (kind == GRANT_DELETED)
    assert tries < 20
    assert await all_grants(ctx) == {}


async def test_a_grant_that_nylas_tells_of_before_it_knows_it_is_adopted_by_a_later_look(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = seed(sim)
    early = sim.state.books.by_id.pop(grant_id)
    event_id = await hint(ctx, GRANT_UPDATED, grant_id)
    await look_at_updated.run(ctx, [event_id])
    assert await all_grants(ctx) == {}
    sim.state.books.by_id[grant_id] = early

    clock.time = (await the_event(ctx, event_id)).due_at
    await look_at_updated.run(ctx, [event_id])

    assert (await the_event(ctx, event_id)).outcome is Outcome.DONE
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID


async def test_a_deletion_that_nylas_knows_nothing_of_is_not_believed(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)

    await confirm_deletion.run(ctx, [await hint(ctx, GRANT_DELETED, grant_id)])

    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID


async def test_a_deleted_grant_stays_deleted_whatever_comes(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    theirs = at_nylas(sim, grant_id)
    sim.state.books.delete(theirs)
    clock.forward(minutes=1)
    await confirm_deletion.run(ctx, [await hint(ctx, GRANT_DELETED, grant_id)])
    assert await moves(ctx) == ["valid → deleted"]

    sim.state.books.by_id[grant_id] = theirs
    for kind, task in TASKS.items():
        clock.forward(minutes=1)
        event_id = await hint(ctx, kind, grant_id)
        await task.run(ctx, [event_id])
        assert (await the_event(ctx, event_id)).outcome is Outcome.DONE

    assert (await the_grant(ctx, grant_id)).status is GrantStatus.DELETED
    assert await moves(ctx) == ["valid → deleted"]


async def test_a_blocked_grant_is_flagged_and_the_flag_goes_when_nylas_lifts_it(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    flags = []
    for blocked in (True, False):
        clock.forward(minutes=1)
        at_nylas(sim, grant_id).blocked = blocked
        await look_at_updated.run(ctx, [await hint(ctx, GRANT_UPDATED, grant_id)])
        flags.append((await the_grant(ctx, grant_id)).blocked)

    assert flags == [True, False]
    assert [(row.new_status, row.blocked) for row in await history(ctx)] == [
        (GrantStatus.VALID, True),
        (GrantStatus.VALID, False),
    ]


async def test_a_full_message_settles_in_one_go_and_asks_nylas_once(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    grant_ids = await known(ctx, sim, 200)
    clock.forward(minutes=1)
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"
    told = await hints(ctx, GRANT_EXPIRED, *grant_ids)

    await confirm_expiry.run(ctx, told)

    assert await moves(ctx) == ["valid → expired"] * 200
    causes = {row.grant_id: row.event_id for row in await history(ctx)}
    assert causes == dict(zip(grant_ids, told, strict=True))
    assert set(await outcomes(ctx, told)) == {Outcome.DONE}
    assert sim.state.calls.by_path == {"GET /v3/grants": 1}


async def test_hints_told_to_two_workers_at_once_are_recorded_once(ctx: Context, sim: Running, clock: SetClock) -> None:
    grant_ids = await known(ctx, sim, 20)
    clock.forward(minutes=1)
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"
    here = await hints(ctx, GRANT_EXPIRED, *grant_ids)
    there = await hints(ctx, GRANT_UPDATED, *reversed(grant_ids))

    await asyncio.gather(confirm_expiry.run(ctx, here), look_at_updated.run(ctx, there))

    assert await moves(ctx) == ["valid → expired"] * 20


async def test_an_event_that_names_no_grant_is_set_aside_for_a_human(ctx: Context) -> None:
    event_id = await hint(ctx, GRANT_EXPIRED, None)

    await confirm_expiry.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert (event.outcome, event.reason) == (Outcome.SET_ASIDE, "it names no grant")
