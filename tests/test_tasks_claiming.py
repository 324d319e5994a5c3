"""Rows of work whose worker was slow, stopped, mistaken or killed."""

import asyncio

import pytest
from sqlalchemy import select, text
from sqlalchemy.event import listen, remove
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, EventData, Outcome
from models.claims import MOST_CRASHES, claim
from models.kinds import GRANT_EXPIRED, GRANT_UPDATED
from simulator import Running
from tasks.claiming import claimed
from tasks.context import Context
from tasks.grant_hints import confirm_expiry, look_at_updated
from tests.conftest import SetClock, another_worker
from tests.stories import (
    at_nylas,
    fails,
    hint,
    known,
    mistaken,
    moves,
    the_event,
    the_grant,
    until,
)

ONE_GRANT = "/v3/grants/*"


async def test_a_worker_that_lost_its_claim_writes_nothing(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    at_nylas(sim, grant_id).grant_status = "invalid"
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)
    await fails(sim, ONE_GRANT, delay_ms=150, count=1)
    paused = asyncio.create_task(confirm_expiry.run(ctx, [event_id]))
    await until(lambda: sim.state.calls.in_flight == 1)

    clock.forward(seconds=ctx.lease.total_seconds() + 1)
    other = another_worker(ctx)
    async with other.database.writing() as session:
        token, [taken] = await claim(session, Event, [event_id], now=clock(), lease=ctx.lease)
    await paused

    event = await the_event(ctx, event_id)
    assert (taken.attempts, taken.crashes) == (2, 1)
    assert (event.settled_at, event.claim_token, event.reason) == (None, token, None)
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.VALID
    assert await moves(ctx) == []


async def test_a_mistake_of_our_own_lets_go_of_the_event_and_says_so(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)

    worker = await mistaken(ctx)
    with pytest.raises(RuntimeError):
        await confirm_expiry.run(worker, [event_id])

    event = await the_event(ctx, event_id)
    assert event.reason == "RuntimeError in our own code; see the log"
    assert (event.settled_at, event.claim_token, event.lease_until) == (None, None, None)
    assert event.due_at > clock()


async def test_a_stopped_worker_lets_go_at_once(ctx: Context, sim: Running, clock: SetClock) -> None:
    [grant_id] = await known(ctx, sim)
    event_id = await hint(ctx, GRANT_EXPIRED, grant_id)
    await fails(sim, ONE_GRANT, delay_ms=150, count=1)
    stopped = asyncio.create_task(confirm_expiry.run(ctx, [event_id]))
    await until(lambda: sim.state.calls.in_flight == 1)

    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped

    event = await the_event(ctx, event_id)
    assert (event.settled_at, event.claim_token, event.lease_until) == (None, None, None)
    assert (event.due_at, event.reason) == (clock(), "the worker was stopped")

    await confirm_expiry.run(another_worker(ctx), [event_id])
    assert (await the_event(ctx, event_id)).outcome is Outcome.DONE


async def test_an_event_that_killed_its_workers_is_set_aside_and_takes_no_other_with_it(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [grant_id] = await known(ctx, sim)
    poison, harmless = [await hint(ctx, GRANT_UPDATED, grant_id) for _ in range(2)]
    for _ in range(MOST_CRASHES):
        async with ctx.database.writing() as session:
            await claim(session, Event, [poison], now=clock(), lease=ctx.lease)
        clock.forward(seconds=ctx.lease.total_seconds() + 1)

    await look_at_updated.run(ctx, [poison, harmless])

    event = await the_event(ctx, poison)
    assert (event.outcome, event.reason) == (Outcome.SET_ASIDE, f"the work on it crashed {MOST_CRASHES} times")
    async with ctx.database.reading() as session:
        done = select(col(Event.id)).where(col(Event.outcome) == Outcome.DONE)
        assert (await session.scalars(done)).all() == [harmless]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_went_away_at_work_is_no_fault_of_the_row(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    event_id = await hint(ctx, GRANT_UPDATED, *await known(ctx, sim))
    with pytest.raises(DBAPIError):
        async with claimed(ctx, EventData, [event_id]), ctx.database.reading() as session:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    event = await the_event(ctx, event_id)
    again = clock() + ctx.backoff(1)
    assert (event.crashes, event.claim_token, event.due_at, event.reason) == (0, None, again, "the database was away")


async def test_who_is_stopped_while_its_claim_is_committed_holds_nothing(ctx: Context, sim: Running) -> None:
    event_id = await hint(ctx, GRANT_UPDATED, *await known(ctx, sim))
    works = asyncio.create_task(look_at_updated.run(ctx, [event_id]))
    listened = (ctx.database.engine.sync_engine, "commit", lambda _connection: works.cancel())
    listen(*listened)
    with pytest.raises(asyncio.CancelledError):
        await works
    remove(*listened)
    event = await the_event(ctx, event_id)
    assert (event.attempts, event.crashes, event.claim_token) == (1, 0, None)
