"""Rows that come along: who works on one of many that are due takes the others with it, if it is not alone at work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models import Event, EventData, Outcome
from models.claims import claim
from models.kinds import GRANT_EXPIRED, GRANT_REPORTED, GRANT_UPDATED
from simulator import Running
from tasks.claiming import claimed
from tasks.context import Context
from tasks.grant_hints import confirm_expiry
from tests.conftest import SetClock
from tests.stories import hints, known, outcomes


@asynccontextmanager
async def another_at_work(ctx: Context) -> AsyncIterator[None]:
    """Let another task of this process hold something for the length of the block."""
    async with claimed(ctx, EventData, await hints(ctx, GRANT_REPORTED, None)) as held:
        assert held.rows
        yield


async def test_who_is_alone_at_work_does_what_was_rung_for(ctx: Context, sim: Running) -> None:
    told = await hints(ctx, GRANT_EXPIRED, *await known(ctx, sim, 3))
    await confirm_expiry.run(ctx, told[:1])
    assert await outcomes(ctx, told) == [Outcome.DONE, None, None]


async def test_a_ring_for_one_of_many_that_are_due_settles_them_all(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    """A storm rings for a row or two at a time; the other kinds wait for rings of their own."""
    grant_ids = await known(ctx, sim, 30)
    others = await hints(ctx, GRANT_UPDATED, *grant_ids[:5])
    told = await hints(ctx, GRANT_EXPIRED, *grant_ids)

    async with another_at_work(ctx):
        await confirm_expiry.run(ctx, told[-1:])
        for one in told:
            await confirm_expiry.run(ctx, [one])

    assert set(await outcomes(ctx, told)) == {Outcome.DONE}
    assert set(await outcomes(ctx, others)) == {None}
    assert sim.state.calls.by_path == {"GET /v3/grants": 1}


async def test_what_a_worker_died_of_is_not_taken_along(ctx: Context, sim: Running, clock: SetClock) -> None:
    doomed, sound = await hints(ctx, GRANT_EXPIRED, *await known(ctx, sim, 2))
    async with ctx.database.writing() as session:
        await claim(session, Event, [doomed], now=clock(), lease=ctx.lease)
    clock.forward(seconds=ctx.lease.total_seconds() + 1)

    async with another_at_work(ctx):
        await confirm_expiry.run(ctx, [sound])
    assert await outcomes(ctx, [sound, doomed]) == [Outcome.DONE, None]

    await confirm_expiry.run(ctx, [doomed])
    assert await outcomes(ctx, [doomed]) == [Outcome.DONE]
