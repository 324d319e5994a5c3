"""The brake: what happens more often in an hour than is normal stops, until a human lets it go on."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from lifecycle import GrantStatus, Policy
from lifecycle.brake import Braked, BrakeLimits
from lifecycle.incidents import Scope, Thresholds
from models import HeldBy, Notice, NoticeKind, Outcome, Retirement, RetirementItem, RetirementStatus
from models.columns import new_id
from models.kinds import GRANT_EXPIRED, INCIDENT_PROBE
from simulator import Running
from tasks.brakes import BRAKED, done, is_on, put_on, release, room, waiting
from tasks.context import Context
from tasks.grant_hints import confirm_expiry
from tests.conftest import Rings, SetClock
from tests.failing_together import fail, notices, the_incident, unsettled, work_again
from tests.statements import statements
from tests.stories import all_grants, at_nylas, hints, known, moves, stored, the_event
from worker.sweeper import sweep

NO_INCIDENTS = Thresholds(number=1_000_000, share=1.0)


@pytest.fixture
def braked(ctx: Context) -> Context:
    """A worker for which ten flips, notices or deletions an hour are normal, and nothing is one cause."""
    few = BrakeLimits(flips=10, notices=10, deletions=10)
    return replace(ctx, policy=Policy(limits=few, thresholds=NO_INCIDENTS))


async def say(ctx: Context, sim: Running, grant_ids: Sequence[str]) -> list[UUID]:
    """Let grants become invalid at Nylas, which tells us."""
    for grant_id in grant_ids:
        at_nylas(sim, grant_id).grant_status = "invalid"
    return await hints(ctx, GRANT_EXPIRED, *grant_ids)


async def statuses(ctx: Context) -> dict[GrantStatus, int]:
    """How many grants are in each status."""
    found = [grant.status for grant in (await all_grants(ctx)).values()]
    return {status: found.count(status) for status in set(found)}


async def released(ctx: Context, kind: Braked) -> bool:
    """Release a brake."""
    async with ctx.database.writing() as session:
        return await release(ctx, session, kind, "released by an admin", now=ctx.now())


async def counted(ctx: Context, kind: Braked) -> tuple[int, int | None, int]:
    """How much was done, how much more may be, and how much waits."""
    async with ctx.database.reading() as session:
        now = ctx.now()
        return (
            await done(session, ctx, kind, now=now),
            await room(session, ctx, kind, now=now),
            await waiting(session, ctx, kind, now=now),
        )


async def test_more_expiries_than_are_normal_are_not_written_until_a_human_has_looked(
    braked: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(braked, sim, 30)
    clock.forward(minutes=1)
    await confirm_expiry.run(braked, await say(braked, sim, ids[:10]))
    assert await statuses(braked) == {GrantStatus.EXPIRED: 10, GrantStatus.VALID: 20}
    clock.forward(minutes=1)
    late = await say(braked, sim, ids[10:])
    await confirm_expiry.run(braked, late)

    assert await statuses(braked) == {GrantStatus.EXPIRED: 10, GrantStatus.SUSPECT: 20}
    incident = await the_incident(braked)
    assert (incident.scope, incident.subject, incident.settled_at) == (Scope.BRAKE, "flips", None)
    assert "more than 10 flips within an hour" in incident.what
    assert len(await notices(braked, NoticeKind.INCIDENT_OPENED)) == 1
    event = await the_event(braked, late[0])
    assert (event.settled_at, event.reason) == (None, "the brake is on: too many grants expired")
    clock.forward(hours=5)
    await confirm_expiry.run(braked, late)
    assert (await statuses(braked))[GrantStatus.SUSPECT] == 20, "time alone does not release it"


async def test_a_release_lets_what_waits_go_on_at_once_and_what_was_done_counts_no_more(
    braked: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(braked, sim, 30)
    clock.forward(minutes=1)
    await confirm_expiry.run(braked, await say(braked, sim, ids[:10]))
    clock.forward(minutes=1)
    await confirm_expiry.run(braked, await say(braked, sim, ids[10:20]))
    assert await counted(braked, Braked.FLIPS) == (10, 0, 10)
    work_again(sim, *ids[15:20])

    assert await released(braked, Braked.FLIPS)

    assert (await counted(braked, Braked.FLIPS))[:2] == (0, 10)
    due = await unsettled(braked, GRANT_EXPIRED)
    assert len(due) == 10
    await confirm_expiry.run(braked, due)
    assert await statuses(braked) == {GrantStatus.EXPIRED: 15, GrantStatus.VALID: 15}
    assert len(await moves(braked)) == 10 + 10 + 10
    incident = await the_incident(braked)
    assert (incident.outcome, incident.reason) == (Outcome.DONE, "released by an admin")
    assert len(await notices(braked, NoticeKind.INCIDENT_CLOSED)) == 1
    assert not await released(braked, Braked.FLIPS), "it is not on any more"


async def test_a_brake_that_was_released_goes_on_again(braked: Context, sim: Running, clock: SetClock) -> None:
    ids = await known(braked, sim, 40)
    clock.forward(minutes=1)
    await confirm_expiry.run(braked, await say(braked, sim, ids[:11]))
    clock.forward(minutes=1)
    await released(braked, Braked.FLIPS)
    clock.forward(minutes=1)
    await confirm_expiry.run(braked, (await say(braked, sim, ids[20:30])))
    await confirm_expiry.run(braked, (await say(braked, sim, ids[30:31])))
    async with braked.database.reading() as session:
        assert await is_on(session, braked, Braked.FLIPS)
    assert (await statuses(braked))[GrantStatus.EXPIRED] == 20, "ten before it was released, and ten after that"


async def test_what_comes_slowly_is_normal(braked: Context, sim: Running, clock: SetClock) -> None:
    ids = await known(braked, sim, 40)
    for start in range(0, 40, 8):
        clock.forward(minutes=61)
        await fail(braked, sim, *ids[start : start + 8])
    assert await statuses(braked) == {GrantStatus.EXPIRED: 40}


@pytest.mark.long
async def test_far_from_the_limit_what_was_done_is_not_counted_each_time(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    """In a mass expiry each count reads all that has expired so far; the brake goes on at its limit all the same."""
    few = replace(ctx, policy=Policy(limits=BrakeLimits(flips=100), thresholds=NO_INCIDENTS))
    ids = await known(few, sim, 120)
    clock.forward(minutes=1)
    counts = []
    for grant_id in ids:
        async with statements(few) as seen:
            await fail(few, sim, grant_id)
        counts.append(any("count(*)" in said and "transition" in said for said in seen))

    assert sum(counts[:50]) < 10
    assert all(counts[95:100])
    assert (await statuses(few))[GrantStatus.EXPIRED] == 100


async def test_those_that_were_dead_when_we_met_them_did_not_flip(
    braked: Context, sim: Running, clock: SetClock
) -> None:
    await known(braked, sim, 50, status="invalid")
    [late] = await known(braked, sim)
    clock.forward(minutes=1)
    await fail(braked, sim, late)
    assert await statuses(braked) == {GrantStatus.EXPIRED: 51}
    assert await counted(braked, Braked.FLIPS) == (1, 9, 0)


async def test_without_a_limit_nothing_is_braked(ctx: Context, sim: Running, clock: SetClock) -> None:
    free = replace(ctx, policy=Policy(limits=BrakeLimits(flips=0), thresholds=NO_INCIDENTS))
    ids = await known(free, sim, 50)
    clock.forward(minutes=1)
    await fail(free, sim, *ids)
    assert await statuses(free) == {GrantStatus.EXPIRED: 50}
    assert (await counted(free, Braked.FLIPS))[1] is None


async def test_notices_that_the_brake_holds_go_on_when_it_is_released_and_no_others(
    braked: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(braked, sim, 3)
    clock.forward(minutes=1)
    await fail(braked, sim, *ids)
    async with braked.database.writing() as session:
        of_first = update(Notice).where(col(Notice.grant_id) == ids[0], col(Notice.kind) == NoticeKind.EXPIRED)
        await session.execute(of_first.values(held_by=HeldBy.BRAKE))
        await put_on(braked, session, Braked.NOTICES, now=clock())
    assert await counted(braked, Braked.NOTICES) == (0, 0, 1)

    await released(braked, Braked.NOTICES)

    holders = {one.grant_id: one.held_by for one in await notices(braked, NoticeKind.EXPIRED)}
    assert holders == {ids[0]: None, ids[1]: HeldBy.CONFIRMATION, ids[2]: HeldBy.CONFIRMATION}
    assert await counted(braked, Braked.NOTICES) == (0, 10, 0)


async def test_nobody_is_rung_for_a_brake_which_waits_for_a_human(
    braked: Context, clock: SetClock, rings: Rings
) -> None:
    async with braked.database.writing() as session:
        await put_on(braked, session, Braked.FLIPS, now=clock())
    clock.forward(hours=1)
    await sweep(braked)
    assert INCIDENT_PROBE not in [kind for kind, _ in rings.heard]


async def test_deletions_that_wait_are_due_when_they_are_released(
    braked: Context, sim: Running, clock: SetClock
) -> None:
    one, other = await known(braked, sim, 2)
    plan = Retirement(
        id=new_id(), application_id=braked.application_id, status=RetirementStatus.APPROVED, created_at=clock()
    )
    await stored(braked, plan)
    later = clock()
    clock.forward(minutes=-30)
    items = [
        RetirementItem(retirement_id=plan.id, grant_id=one, due_at=later, reason=f"{BRAKED}: enough for an hour"),
        RetirementItem(retirement_id=plan.id, grant_id=other, due_at=later, reason="Nylas was away"),
    ]
    await stored(braked, *items)
    async with braked.database.writing() as session:
        await put_on(braked, session, Braked.DELETIONS, now=clock())

    await released(braked, Braked.DELETIONS)

    async with braked.database.reading() as session:
        due = {item.grant_id: item.due_at for item in await session.scalars(select(RetirementItem))}
    assert due == {one: clock(), other: later}
