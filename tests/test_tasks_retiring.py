"""Retirement: dead grants are deleted as agreed, each after a fresh look, and never one that works again."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.incidents import Scope
from lifecycle.retirement import RetirementPolicy, named
from models import Notice, NoticeKind, Outcome, Retirement, RetirementStatus
from simulator import Running
from tasks.context import Context
from tasks.incidents import open_incident
from tasks.retirement_plans import approve, cancel, make_plan
from tasks.retiring import retire
from tests.conftest import Rings, SetClock
from tests.retirements import (
    MONTH,
    ONE_GRANT,
    approved,
    dead,
    deletions,
    ends,
    planned,
    retiring,
    run_out,
    status_of,
    the_items,
)
from tests.stories import at_nylas, fails, known, moves, the_grant, until


async def test_a_plan_that_nobody_agreed_to_deletes_nothing(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    await dead(ctx, sim, clock, 3)
    plan = await planned(ctx)

    clock.forward(days=300)
    await retire.run(ctx, [item.id for item in await the_items(ctx, plan)])

    assert (plan.total, rings.heard, sim.state.calls.by_path) == (3, [], {})
    assert await ends(ctx, plan) == [(None, None)] * 3
    assert await status_of(ctx, plan) is RetirementStatus.PLANNED


async def test_an_approved_plan_deletes_its_grants_and_tells_of_each(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    grant_ids = await dead(ctx, sim, clock, 3)
    working = await known(ctx, sim, 1)
    plan = await approved(ctx)

    await run_out(ctx, rings)

    assert await ends(ctx, plan) == [(Outcome.DONE, "deleted at Nylas")] * 3
    assert await status_of(ctx, plan) is RetirementStatus.FINISHED
    assert list(sim.state.books.by_id) == working
    assert await moves(ctx, *grant_ids) == ["expired → deleted"] * 3
    async with ctx.database.reading() as session:
        told = await session.scalars(select(Notice).where(col(Notice.kind) == NoticeKind.DELETED))
        assert sorted(str(notice.grant_id) for notice in told) == grant_ids
    items = await the_items(ctx, plan)
    assert all(item.request_id and item.sent_at == item.settled_at == clock() for item in items)
    assert deletions(sim) == 3


async def test_a_plan_holds_only_who_may_go_and_says_why_the_others_stay(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    ctx = retiring(ctx)
    first, second = await dead(ctx, sim, clock, 2)
    await known(ctx, sim, 5, status="invalid")
    await known(ctx, sim, 4)
    policy = replace(MONTH, never=named([at_nylas(sim, first).email.upper()]))

    made = await make_plan(ctx, policy)

    assert made.plan is not None
    assert [item.grant_id for item in await the_items(ctx, made.plan)] == [second]
    assert made.staying["it is on the list of those that are never deleted"] == 1
    assert sum(made.staying.values()) == 6


async def test_no_plan_is_written_where_nobody_may_go(ctx: Context, sim: Running) -> None:
    await known(ctx, sim, 2)
    assert (await make_plan(ctx, MONTH)).plan is None
    async with ctx.database.reading() as session:
        assert (await session.scalars(select(Retirement))).all() == []


async def test_a_grant_that_works_again_is_not_deleted(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    """Nobody told us: only the look right before the deletion shows it."""
    ctx = retiring(ctx)
    first, second = await dead(ctx, sim, clock, 2)
    plan = await approved(ctx)
    sim.state.books.touch(at_nylas(sim, first))

    await run_out(ctx, rings)

    assert await ends(ctx, plan) == [(Outcome.SKIPPED, "it works again"), (Outcome.DONE, "deleted at Nylas")]
    assert list(sim.state.books.by_id) == [first]
    assert (await the_grant(ctx, first)).status is GrantStatus.VALID
    assert await status_of(ctx, plan) is RetirementStatus.FINISHED
    assert sim.state.calls.by_grant[first] == {"GET /v3/grants/{id}": 1}
    assert sim.state.calls.by_grant[second].total() == 2


async def test_a_grant_that_somebody_else_deleted_is_skipped(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    [grant_id] = await dead(ctx, sim, clock)
    plan = await approved(ctx)
    sim.state.books.delete(at_nylas(sim, grant_id))

    await run_out(ctx, rings)

    assert await ends(ctx, plan) == [(Outcome.SKIPPED, "it was deleted already")]
    assert (await the_grant(ctx, grant_id)).status is GrantStatus.DELETED
    assert deletions(sim) == 0


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (None, "retirement is off: EVERGRANT_RETIRE_AFTER_DAYS is not set for the worker"),
        (replace(MONTH, never=frozenset({"@example.com"})), "it is on the list of those that are never deleted"),
        (RetirementPolicy(timedelta(days=60)), "it was confirmed as expired less than 60 days ago"),
    ],
)
async def test_what_is_set_by_the_time_of_the_deletion_counts_as_well(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings, policy: RetirementPolicy | None, why: str
) -> None:
    await dead(ctx, sim, clock)
    plan = await approved(ctx)

    await run_out(retiring(ctx, policy), rings)

    assert await ends(ctx, plan) == [(Outcome.SKIPPED, why)]
    assert deletions(sim) == 0


async def test_grants_that_an_open_incident_explains_stay(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    await dead(ctx, sim, clock)
    long_ago = clock() - 2 * MONTH.after
    plan = await approved(ctx)
    async with ctx.database.writing() as session:
        await open_incident(ctx, session, Scope.CONNECTOR, "google", "its secret ended", now=clock(), since=long_ago)

    await run_out(ctx, rings)

    assert await ends(ctx, plan) == [(Outcome.SKIPPED, "an open incident explains why it expired")]
    assert (await make_plan(ctx, MONTH)).plan is None


async def test_a_plan_that_is_cancelled_leaves_what_was_not_deleted_yet(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    await dead(ctx, sim, clock, 3)
    plan = await approved(ctx)
    [first, *others] = await the_items(ctx, plan)
    rings.heard.clear()
    await retire.run(ctx, [first.id])

    assert await cancel(ctx, plan.id) == 2
    await retire.run(ctx, [item.id for item in others])

    assert await ends(ctx, plan) == [
        (Outcome.DONE, "deleted at Nylas"),
        *[(Outcome.CANCELLED, "the plan was cancelled")] * 2,
    ]
    assert (await status_of(ctx, plan), len(sim.state.books.by_id)) == (RetirementStatus.CANCELLED, 2)
    assert (await cancel(ctx, plan.id), await approve(ctx, plan.id, by="cli")) == (None, False)


async def test_a_plan_cancelled_while_its_grant_is_looked_at_does_not_delete_it(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    ctx = retiring(ctx)
    [grant_id] = await dead(ctx, sim, clock)
    plan = await approved(ctx)
    await fails(sim, ONE_GRANT, method="GET", mode="answer", status=200, delay_ms=150, count=1,
                body={"data": at_nylas(sim, grant_id).view()})  # fmt: skip
    working = asyncio.create_task(run_out(ctx, rings))
    await until(lambda: sim.state.calls.by_grant[grant_id].total() > 0)

    assert await cancel(ctx, plan.id) == 1
    await working

    assert await ends(ctx, plan) == [(Outcome.CANCELLED, "the plan was cancelled")]
    assert list(sim.state.books.by_id) == [grant_id]
