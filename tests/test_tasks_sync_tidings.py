"""What a sync writes and tells: nothing is told of the first import, everything is seen, and drift is counted."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from lifecycle.brake import BrakeLimits
from lifecycle.policy import Policy
from models import Application, HeldBy, Incident, KnownConnector, Notice, NoticeKind, Outcome
from models.inbox import told
from models.kinds import GRANT_CREATED, SYNC_REQUESTED
from nylas_api import Unavailable
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import look_at_updated
from tasks.sync import SyncReport, sync, sync_grants
from tests.conftest import SetClock
from tests.stories import all_grants, at_nylas, fails, hint, known, recovers, seed, stored, the_event


async def notices(ctx: Context, *kinds: NoticeKind) -> list[Notice]:
    """The notices of some kinds."""
    async with ctx.database.reading() as session:
        return list(await session.scalars(select(Notice).where(col(Notice.kind).in_(kinds)).order_by(col(Notice.id))))


async def is_imported(ctx: Context) -> bool:
    """Whether the first import is over."""
    async with ctx.database.reading() as session:
        return (await session.get_one(Application, ctx.application_id)).imported_at is not None


async def test_the_first_import_tells_nobody_of_what_was_so_before(ctx: Context, sim: Running) -> None:
    seed(sim, 30, status="invalid"), seed(sim, 5)

    await sync(ctx)

    assert await notices(ctx, NoticeKind.VALID) == []
    quiet = await notices(ctx, NoticeKind.EXPIRED)
    assert len(quiet) == 30
    assert {(notice.outcome, notice.held_by) for notice in quiet} == {(Outcome.SKIPPED, None)}
    assert await is_imported(ctx)
    async with ctx.database.reading() as session:
        assert (await session.scalars(select(Incident))).all() == []


async def test_an_import_that_breaks_off_is_still_the_first_one_when_it_runs_again(ctx: Context, sim: Running) -> None:
    seed(sim, 200), seed(sim, 10, status="invalid")

    with pytest.raises(Unavailable):
        await sync(ctx, progress=lambda _: sim.state.faults.add({"path": "/v3/grants", "status": 503}))
    assert not await is_imported(ctx)
    assert len(await all_grants(ctx)) == 200

    await recovers(sim)
    assert await sync(ctx) == SyncReport(listed=210, new=10)
    assert {notice.outcome for notice in await notices(ctx, NoticeKind.EXPIRED)} == {Outcome.SKIPPED}


async def test_what_a_webhook_told_before_the_import_was_over_is_told_on(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    [known_already] = seed(sim)
    await look_at_updated.run(ctx, [await hint(ctx, GRANT_CREATED, known_already)])
    clock.forward(minutes=1)
    at_nylas(sim, known_already).grant_status = "invalid"

    await sync(ctx)

    [notice] = await notices(ctx, NoticeKind.EXPIRED)
    assert (notice.settled_at, notice.held_by) == (None, HeldBy.CONFIRMATION)


async def test_what_is_new_after_the_import_is_news(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 3)
    clock.forward(minutes=1)
    [late] = seed(sim, status="invalid")

    assert await sync(ctx) == SyncReport(listed=4, new=1)

    [notice] = await notices(ctx, NoticeKind.EXPIRED)
    assert (notice.grant_id, notice.settled_at, notice.held_by) == (late, None, HeldBy.CONFIRMATION)


async def test_what_has_not_changed_is_seen_all_the_same(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 5), await known(ctx, sim, 5, status="invalid")
    before = await all_grants(ctx)
    clock.forward(minutes=1)

    await sync(ctx)

    after = await all_grants(ctx)
    assert {grant.as_of for grant in after.values()} == {clock()}
    assert all(after[grant_id].version > before[grant_id].version for grant_id in before)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Another Name"), ("scope", ["openid"]), ("credential_id", "another"), ("blocked", True)],
)
async def test_a_fact_that_changed_is_written_down(
    ctx: Context, sim: Running, clock: SetClock, field: str, value: object
) -> None:
    [grant_id, *_] = await known(ctx, sim, 3)
    setattr(at_nylas(sim, grant_id), field, value)
    clock.forward(minutes=1)

    await sync(ctx)

    assert getattr((await all_grants(ctx))[grant_id], field) == value


async def test_the_connectors_are_read_by_one_call(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim)
    connectors = sim.state.connectors.by_provider
    connectors["google"].scope = ["openid", "email"]
    del connectors["yahoo"]
    clock.forward(minutes=1)

    await sync(ctx)

    async with ctx.database.reading() as session:
        rows = {row.provider: row for row in await session.scalars(select(KnownConnector))}
    assert set(rows) == set(connectors)
    assert rows["google"].scope == ["openid", "email"]
    assert rows["google"].seen_at == clock()
    assert rows["google"].active_credential_id == connectors["google"].active_credential_id
    assert sim.state.calls.by_path["GET /v3/connectors"] == 1


async def test_connectors_that_nylas_will_not_list_keep_no_grant_from_being_read(ctx: Context, sim: Running) -> None:
    seed(sim, 3)
    refusal = {"request_id": "r", "error": {"type": "api.forbidden", "message": "no connectors for you"}}
    await fails(sim, "/v3/connectors", status=403, body=refusal)

    assert (await sync(ctx)).new == 3


async def test_a_brake_keeps_expired_grants_and_the_sync_says_so(ctx: Context, sim: Running, clock: SetClock) -> None:
    grant_ids = await known(ctx, sim, 30)
    careful = replace(ctx, policy=Policy(limits=BrakeLimits(flips=10)))
    clock.forward(minutes=1)
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"

    report = await sync(careful)

    assert report == SyncReport(listed=30, changed=10, braked=20)
    assert report.in_words().endswith("20 kept as they are by the brake")


async def test_a_scheduled_sync_is_skipped_while_one_runs_and_another_waits(ctx: Context, clock: SetClock) -> None:
    running, scheduled, wanted = (
        told(SYNC_REQUESTED, f"test:{number}", application_id=ctx.application_id, source=source, now=clock())
        for number, source in enumerate(("schedule", "schedule", "admin"))
    )
    running.lease_until = clock() + timedelta(seconds=10)
    await stored(ctx, running, scheduled, wanted)

    await sync_grants.run(ctx, [scheduled.id, wanted.id])

    skipped, waits = await the_event(ctx, scheduled.id), await the_event(ctx, wanted.id)
    assert skipped.outcome is Outcome.SKIPPED
    assert (waits.settled_at, waits.due_at) == (None, clock() + timedelta(minutes=1))
