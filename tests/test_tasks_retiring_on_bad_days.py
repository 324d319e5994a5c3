"""Retirement while answers are lost, workers die or sleep, and the brake is on."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.incidents import Scope
from models import Incident, Outcome, RetirementStatus
from models.claims import close
from simulator import Running
from tasks.context import Context
from tasks.retiring import retire
from tests.conftest import Rings, SetClock, another_worker
from tests.retirements import (
    ONE_GRANT,
    approved,
    dead,
    deletions,
    ends,
    retiring,
    run_out,
    status_of,
    the_items,
)
from tests.stories import at_nylas, fails, moves, recovers, the_grant, until


async def test_a_lost_answer_is_made_good_by_reading(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    ctx = retiring(ctx)
    [grant_id] = await dead(ctx, sim, clock)
    plan = await approved(ctx)
    await fails(sim, ONE_GRANT, method="DELETE", mode="after_effect_drop")

    await run_out(ctx, rings)
    [item] = await the_items(ctx, plan)
    assert (item.settled_at, item.sent_at) == (None, clock())
    sent = deletions(sim)
    clock.time = item.due_at
    await retire.run(ctx, [item.id])

    assert await ends(ctx, plan) == [(Outcome.DONE, "Nylas has it no more")]
    assert await moves(ctx, grant_id) == ["expired → deleted"]
    assert deletions(sim) == sent


async def test_after_a_lost_deletion_a_grant_that_works_again_by_then_stays(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    [grant_id] = await dead(ctx, sim, clock)
    plan = await approved(ctx)
    await fails(sim, ONE_GRANT, method="DELETE", mode="drop")
    await run_out(ctx, rings)
    await recovers(sim)
    sim.state.books.touch(at_nylas(sim, grant_id))

    clock.forward(minutes=1)
    await retire.run(ctx, [item.id for item in await the_items(ctx, plan)])

    assert await ends(ctx, plan) == [(Outcome.SKIPPED, "it works again")]
    assert list(sim.state.books.by_id) == [grant_id]


@pytest.mark.parametrize("status", [429, 503])
async def test_while_nylas_cannot_be_asked_nothing_is_deleted(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings, status: int
) -> None:
    ctx = retiring(ctx)
    await dead(ctx, sim, clock)
    plan = await approved(ctx)
    await fails(sim, ONE_GRANT, status=status)
    await run_out(ctx, rings)
    assert await ends(ctx, plan) != [(Outcome.DONE, "deleted at Nylas")]
    assert deletions(sim) == 0

    await recovers(sim)
    clock.forward(minutes=1)
    await retire.run(ctx, [item.id for item in await the_items(ctx, plan)])
    assert await ends(ctx, plan) == [(Outcome.DONE, "deleted at Nylas")]
    assert (await status_of(ctx, plan), deletions(sim)) == (RetirementStatus.FINISHED, 1)


async def test_a_deletion_that_finds_nothing_is_done(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    ctx = retiring(ctx)
    [grant_id] = await dead(ctx, sim, clock)
    plan = await approved(ctx)
    gone = {"request_id": "r", "error": {"type": "grant.not_found", "message": "not found"}}
    await fails(sim, ONE_GRANT, method="DELETE", status=404, body=gone, count=1)

    await run_out(ctx, rings)

    assert await ends(ctx, plan) == [(Outcome.DONE, "deleted at Nylas")]
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.DELETED


async def test_a_worker_that_died_after_it_said_what_it_will_do_is_followed_by_reading_first(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    await dead(ctx, sim, clock)
    plan = await approved(ctx)
    await fails(sim, ONE_GRANT, method="DELETE", mode="hang_after_effect", delay_ms=100, count=1)
    stopped = asyncio.create_task(run_out(ctx, rings))
    await until(lambda: not sim.state.books.by_id)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped

    await retire.run(another_worker(ctx), [item.id for item in await the_items(ctx, plan)])

    assert await ends(ctx, plan) == [(Outcome.DONE, "Nylas has it no more")]
    assert deletions(sim) == 1


async def test_a_worker_that_slept_between_its_look_and_the_deletion_looks_again(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    """In the meantime another may have found that the grant works again."""
    [grant_id] = await dead(ctx, sim, clock)
    plan = await approved(ctx)

    intended, began = list[str](), clock()

    def see(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        intended.extend([statement] * ("UPDATE retirement_item SET sent_at" in statement))

    def slept() -> datetime:
        """An hour passes as soon as the intent is written, and the user comes back in it."""
        if intended:
            intended.clear()
            clock.forward(hours=1)
            sim.state.books.touch(at_nylas(sim, grant_id))
        return clock()

    engine = ctx.database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", see)
    await run_out(retiring(replace(ctx, now=slept)), rings)
    sqlalchemy_event.remove(engine, "before_cursor_execute", see)

    assert clock() - began == timedelta(hours=1)
    assert await ends(ctx, plan) == [(Outcome.SKIPPED, "it works again")]
    assert (list(sim.state.books.by_id), deletions(sim)) == ([grant_id], 0)


async def test_the_brake_stops_deletions_until_it_is_released(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx, most_an_hour=2)
    await dead(ctx, sim, clock, 5)
    plan = await approved(ctx)

    await run_out(ctx, rings)
    assert len(sim.state.books.by_id) == 3
    for _ in range(3):
        clock.forward(hours=2)
        await retire.run(ctx, [item.id for item in await the_items(ctx, plan)])
    assert len(sim.state.books.by_id) == 3, "time alone does not release it"

    for left in (1, 0):
        async with ctx.database.writing() as session:
            [incident] = await session.scalars(
                select(Incident).where(col(Incident.scope) == Scope.BRAKE, col(Incident.settled_at).is_(None))
            )
            assert incident.subject == "deletions"
            close(incident, Outcome.DONE, now=clock(), reason="released")
        clock.forward(minutes=10)
        await retire.run(ctx, [item.id for item in await the_items(ctx, plan)])
        assert len(sim.state.books.by_id) == left
    assert await ends(ctx, plan) == [(Outcome.DONE, "deleted at Nylas")] * 5


async def test_two_workers_at_once_delete_no_more_than_the_brake_allows(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx, most_an_hour=3)
    await dead(ctx, sim, clock, 8)
    plan = await approved(ctx)
    ids = [item.id for item in await the_items(ctx, plan)]

    await asyncio.gather(retire.run(ctx, ids[:4]), retire.run(another_worker(ctx), ids[4:]))

    assert (len(sim.state.books.by_id), deletions(sim)) == (5, 3)
