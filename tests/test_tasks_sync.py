"""Comparing with Nylas: import, repair, and care where much is missing."""

import asyncio
from datetime import timedelta

from lifecycle import GrantStatus
from models import Outcome
from models.inbox import told
from models.kinds import GRANT_CREATED, SYNC_REQUESTED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import look_at_created
from tasks.sync import SyncReport, sync, sync_grants
from tests.conftest import SetClock, another_worker
from tests.stories import (
    all_grants,
    at_nylas,
    fails,
    hints,
    history,
    known,
    moves,
    outcomes,
    recovers,
    seed,
    stored,
    the_event,
)


async def test_every_page_is_imported(ctx: Context, sim: Running) -> None:
    grant_ids = seed(sim, 450)
    listed: list[int] = []

    report = await sync(ctx, progress=lambda so_far: listed.append(so_far.listed))

    assert report == SyncReport(listed=450, new=450)
    assert listed[:3] == [200, 400, 450]
    assert set(await all_grants(ctx)) == set(grant_ids)
    assert sim.state.calls.by_path == {"GET /v3/connectors": 1, "GET /v3/grants": 3}


async def test_a_full_last_page_is_not_the_end_of_the_world(ctx: Context, sim: Running) -> None:
    seed(sim, 200)

    assert await sync(ctx) == SyncReport(listed=200, new=200)


async def test_a_second_sync_changes_nothing(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 30)
    clock.forward(minutes=1)

    assert await sync(ctx) == SyncReport(listed=30)
    assert await moves(ctx) == []


async def test_drift_is_repaired_both_ways_and_told_of(ctx: Context, sim: Running, clock: SetClock) -> None:
    died, came_back = await known(ctx, sim, 1), await known(ctx, sim, 1, status="invalid")
    clock.forward(minutes=1)
    at_nylas(sim, died[0]).grant_status = "invalid"
    sim.state.books.touch(at_nylas(sim, came_back[0]))

    report = await sync(ctx)

    assert (report.new, report.changed) == (0, 2)
    assert await moves(ctx, *died) == ["valid → expired"]
    assert await moves(ctx, *came_back) == ["expired → valid"]
    assert {row.cause for row in await history(ctx)} == {"sync"}
    assert all(row.request_id for row in await history(ctx))


async def test_a_grant_that_is_not_listed_is_looked_at_before_it_counts_as_deleted(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    gone, *others = await known(ctx, sim, 5)
    sim.state.books.delete(at_nylas(sim, gone))
    clock.forward(minutes=1)

    report = await sync(ctx)

    assert report == SyncReport(listed=4, missing=1, gone=1)
    assert sim.state.calls.by_path["GET /v3/grants/{id}"] == 1
    grants = await all_grants(ctx)
    assert grants[gone].status is GrantStatus.DELETED
    assert {grants[grant_id].status for grant_id in others} == {GrantStatus.VALID}

    clock.forward(minutes=1)
    assert (await sync(ctx)).missing == 0


async def test_a_grant_left_out_of_the_list_that_nylas_still_has_stays(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, 3)
    clock.forward(minutes=1)
    await fails(sim, "/v3/grants", status=200, body={"data": []})

    report = await sync(ctx)

    assert (report.listed, report.missing, report.changed) == (0, 3, 0)
    assert {grant.status for grant in (await all_grants(ctx)).values()} == {GrantStatus.VALID}


async def test_when_surprisingly_many_are_missing_none_is_touched(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 100)
    sim.state.books.by_id.clear()
    clock.forward(minutes=1)
    await fails(sim, "/v3/grants", status=200, body={"data": []})

    report = await sync(ctx)

    assert (report.missing, report.left_alone, report.changed) == (100, 100, 0)
    assert {grant.status for grant in (await all_grants(ctx)).values()} == {GrantStatus.VALID}
    assert "GET /v3/grants/{id}" not in sim.state.calls.by_path


async def test_twenty_missing_are_no_surprise(ctx: Context, sim: Running, clock: SetClock) -> None:
    grant_ids = await known(ctx, sim, 25)
    for grant_id in grant_ids[:20]:
        sim.state.books.delete(at_nylas(sim, grant_id))
    clock.forward(minutes=1)

    assert (await sync(ctx)).gone == 20


async def test_a_page_that_cannot_be_had_deletes_nothing_and_the_event_stays_due(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, 3)
    clock.forward(minutes=1)
    event = told(SYNC_REQUESTED, "test:sync", application_id=ctx.application_id, source="admin", now=clock())
    await stored(ctx, event)
    await fails(sim, "/v3/grants", status=503)

    await sync_grants.run(ctx, [event.id])
    row = await the_event(ctx, event.id)
    assert (row.settled_at, row.claim_token) == (None, None)
    assert clock() < row.due_at < clock() + timedelta(minutes=1)
    assert await moves(ctx) == []

    await recovers(sim)
    clock.forward(minutes=1)
    at_nylas(sim, seed(sim)[0]).grant_status = "invalid"
    await sync_grants.run(ctx, [event.id])
    row = await the_event(ctx, event.id)
    assert (row.outcome, row.reason) == (Outcome.DONE, "4 listed, 1 new here, 0 changed, 0 gone there")


async def test_two_syncs_at_once_adopt_each_grant_once(ctx: Context, sim: Running) -> None:
    seed(sim, 50)

    reports = await asyncio.gather(sync(ctx), sync(another_worker(ctx)))

    assert [report.listed for report in reports] == [50, 50]
    assert sum(report.new for report in reports) == len(await all_grants(ctx)) == 50


async def test_grants_that_two_workers_meet_in_opposite_orders_are_all_adopted(ctx: Context, sim: Running) -> None:
    grant_ids = seed(sim, 50)
    here, there = await hints(ctx, GRANT_CREATED, *grant_ids), await hints(ctx, GRANT_CREATED, *reversed(grant_ids))

    await asyncio.gather(look_at_created.run(ctx, here), look_at_created.run(another_worker(ctx), there))

    assert set(await all_grants(ctx)) == set(grant_ids)
    assert set(await outcomes(ctx, [*here, *there])) == {Outcome.DONE}


async def test_a_grant_of_a_status_that_we_do_not_know_is_left_as_it_is(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    odd, *_ = await known(ctx, sim, 3)
    at_nylas(sim, odd).grant_status = "hibernating"
    clock.forward(minutes=1)

    report = await sync(ctx)

    assert (report.listed, report.changed) == (2, 0)
    assert (await all_grants(ctx))[odd].status is GrantStatus.VALID
