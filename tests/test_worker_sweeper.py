"""The sweep: rings for what is due and free, not too often, and writes nothing where there is nothing to do."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus, Event, Outcome
from models.claims import claim, close
from models.columns import new_id
from models.kinds import EVENT_KINDS, GRANT_EXPIRED, GRANT_UPDATED, REAUTH_REQUESTED, UNREADABLE, most_ids
from models.rings import RING_AGAIN
from simulator import Running
from tasks.context import BULK_CHUNKS_AT_ONCE, Context
from tests.conftest import Rings, SetClock, another_worker
from tests.statements import statements, writes
from tests.stories import hint, hints, known, stored, the_campaign
from worker.sweeper import EVENTS_AT_ONCE, sweep


async def set_on(ctx: Context, ids: list[UUID], **values: object) -> None:
    """Change rows of the inbox behind everybody's back."""
    async with ctx.database.writing() as session:
        await session.execute(update(Event).where(col(Event.id).in_(ids)).values(values))


async def claimed_by_somebody(ctx: Context, ids: list[UUID], model: Any = Event) -> None:
    """Let a worker take the rows; it may never come back."""
    async with ctx.database.writing() as session:
        _, rows = await claim(session, model, ids, now=ctx.now(), lease=ctx.lease)
    assert len(rows) == len(ids)


async def campaign_of(ctx: Context, grant_ids: list[str], status: CampaignStatus = CampaignStatus.RUNNING) -> UUID:
    """A campaign with an item for each grant, as a worker leaves it that has just written them."""
    campaign = Campaign(
        id=new_id(), application_id=ctx.application_id, status=status, created_at=ctx.now(), total=len(grant_ids)
    )
    await stored(ctx, campaign)
    now = ctx.now()
    await stored(ctx, *(CampaignItem(campaign_id=campaign.id, grant_id=grant, due_at=now) for grant in grant_ids))
    return campaign.id


async def test_what_is_due_is_rung_for_together_by_its_kind(ctx: Context, rings: Rings) -> None:
    updated = await hints(ctx, GRANT_UPDATED, "g1", "g2", "g3")
    expired = await hints(ctx, GRANT_EXPIRED, "g4", "g5")
    assert await sweep(ctx) == 5
    assert sorted((kind, sorted(ids)) for kind, ids in rings.heard) == [
        (GRANT_EXPIRED, sorted(expired)),
        (GRANT_UPDATED, sorted(updated)),
    ]


async def test_a_row_whose_worker_died_is_rung_for_alone(ctx: Context, clock: SetClock, rings: Rings) -> None:
    """If it was the cause, it takes no other row with it the next time."""
    died = await hints(ctx, GRANT_UPDATED, "g1", "g2")
    await claimed_by_somebody(ctx, died)
    clock.forward(seconds=ctx.lease.total_seconds() + 1)
    fresh = await hints(ctx, GRANT_UPDATED, "g3", "g4")
    assert await sweep(ctx) == 4
    assert sorted(sorted(ids) for _, ids in rings.heard) == sorted([[died[0]], [died[1]], sorted(fresh)])


async def test_an_item_whose_worker_died_is_rung_for_alone(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    """Rung for in one chunk, all of it would be counted as dead again and again, and be set aside with the culprit."""
    await campaign_of(ctx, await known(ctx, sim, 3))
    assert await sweep(ctx) == 3
    [(_, ids)] = rings.heard
    rings.heard.clear()
    await claimed_by_somebody(ctx, ids, CampaignItem)
    clock.forward(seconds=ctx.lease.total_seconds() + 1)
    assert await sweep(ctx) == 3
    assert sorted(rings.heard) == sorted((REAUTH_REQUESTED, [row]) for row in ids)


async def test_nothing_is_rung_for_twice_within_three_seconds(ctx: Context, clock: SetClock, rings: Rings) -> None:
    row = await hint(ctx, GRANT_UPDATED, "g1")
    assert await sweep(ctx) == 1
    for _ in range(3):
        assert await sweep(ctx) == 0
        clock.forward(seconds=1)
    clock.forward(seconds=0.1)
    assert await sweep(another_worker(ctx)) == 1
    assert rings.heard == [(GRANT_UPDATED, [row])] * 2


async def test_what_is_settled_not_due_yet_or_held_is_left_alone(ctx: Context, clock: SetClock, rings: Rings) -> None:
    settled, future, held = await hints(ctx, GRANT_UPDATED, "g1", "g2", "g3")
    async with ctx.database.writing() as session:
        close(await session.get_one(Event, settled), Outcome.DONE, now=ctx.now())
    await set_on(ctx, [future], due_at=clock() + timedelta(seconds=30))
    await claimed_by_somebody(ctx, [held])
    assert await sweep(ctx) == 0
    assert rings.heard == []

    clock.forward(seconds=31)
    assert await sweep(ctx) == 2
    assert {row for _, ids in rings.heard for row in ids} == {future, held}


async def test_kinds_that_nobody_deals_with_are_never_rung_for(ctx: Context, rings: Rings) -> None:
    await hint(ctx, UNREADABLE, None)
    await hint(ctx, "message.created", "g1")
    await hint(ctx, REAUTH_REQUESTED, "g1")
    assert await sweep(ctx) == 0
    assert rings.heard == []


@pytest.mark.parametrize("kind", sorted(EVENT_KINDS))
async def test_every_kind_of_ours_is_rung_for(ctx: Context, rings: Rings, kind: str) -> None:
    row = await hint(ctx, kind, None)
    await sweep(ctx)
    assert rings.heard == [(kind, [row])]


async def test_a_flood_is_rung_for_in_parts_oldest_first(ctx: Context, clock: SetClock, rings: Rings) -> None:
    older = await hints(ctx, GRANT_UPDATED, *("g" for _ in range(EVENTS_AT_ONCE)))
    clock.forward(seconds=1)
    newer = await hints(ctx, GRANT_UPDATED, *("g" for _ in range(20)))
    assert await sweep(ctx) == EVENTS_AT_ONCE
    assert {row for _, ids in rings.heard for row in ids} == set(older)
    rings.heard.clear()
    assert await sweep(ctx) == 20
    assert {row for _, ids in rings.heard for row in ids} == set(newer)


async def test_a_few_chunks_of_a_campaign_are_rung_for_and_more_once_somebody_takes_them(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    at_once = BULK_CHUNKS_AT_ONCE * most_ids(REAUTH_REQUESTED)
    await campaign_of(ctx, await known(ctx, sim, at_once + 50))
    assert await sweep(ctx) == at_once
    assert await sweep(ctx) == 0
    [(kind, first), *others] = rings.heard
    assert {kind, *(kind for kind, _ in others)} == {REAUTH_REQUESTED}

    async with ctx.database.writing() as session:
        await claim(session, CampaignItem, first, now=clock(), lease=ctx.lease)
    assert await sweep(ctx) == 50
    assert len({row for _, ids in rings.heard for row in ids}) == at_once + 50
    assert await sweep(ctx) == 0


async def test_what_was_rung_for_and_nobody_took_is_rung_for_again_before_the_rest(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    at_once = BULK_CHUNKS_AT_ONCE * most_ids(REAUTH_REQUESTED)
    await campaign_of(ctx, await known(ctx, sim, at_once + 50))
    await sweep(ctx)
    first = {row for _, ids in rings.heard for row in ids}
    rings.heard.clear()
    clock.time += RING_AGAIN + timedelta(seconds=1)
    assert await sweep(ctx) == at_once
    assert {row for _, ids in rings.heard for row in ids} == first


async def test_a_campaign_with_nothing_left_is_finished(ctx: Context, sim: Running, clock: SetClock) -> None:
    grants = await known(ctx, sim, 2)
    empty, open_one = await campaign_of(ctx, []), await campaign_of(ctx, grants)
    planned = await campaign_of(ctx, [], CampaignStatus.PLANNED)
    await sweep(ctx)
    finished = await the_campaign(ctx, empty)
    assert (finished.status, finished.finished_at) == (CampaignStatus.FINISHED, clock())
    assert (await the_campaign(ctx, open_one)).status is CampaignStatus.RUNNING
    assert (await the_campaign(ctx, planned)).status is CampaignStatus.PLANNED

    done = {"settled_at": clock(), "outcome": Outcome.DONE}
    async with ctx.database.writing() as session:
        await session.execute(update(CampaignItem).values(done))
    clock.forward(seconds=10)
    await sweep(ctx)
    assert (await the_campaign(ctx, open_one)).finished_at == clock()
    assert (await the_campaign(ctx, empty)).finished_at == finished.finished_at


async def test_an_idle_sweep_writes_nothing_and_keeps_nobody_from_writing(ctx: Context, clock: SetClock) -> None:
    settled, future = await hints(ctx, GRANT_UPDATED, "g1", "g2")
    async with ctx.database.writing() as session:
        close(await session.get_one(Event, settled), Outcome.DONE, now=ctx.now())
    await set_on(ctx, [future], due_at=clock() + timedelta(hours=1))
    async with statements(ctx) as seen:
        await sweep(ctx)
    assert len([one for one in seen if one != "BEGIN"]) == 1, "one question for all"
    assert writes(seen) == []

    await set_on(ctx, [future], due_at=clock())
    async with statements(ctx) as seen:
        assert await sweep(ctx) == 1
    assert writes(seen), "the test would see a write"


@pytest.mark.parametrize("why", ["of no kind of ours", "held by a worker", "rung for just now"])
async def test_what_is_due_but_not_to_be_rung_for_does_not_make_a_sweep_write(ctx: Context, why: str) -> None:
    row = await hint(ctx, "message.created" if why == "of no kind of ours" else GRANT_UPDATED, "g1")
    if why == "held by a worker":
        await claimed_by_somebody(ctx, [row])
    if why == "rung for just now":
        assert await sweep(ctx) == 1
    async with statements(ctx) as seen:
        assert await sweep(ctx) == 0
    assert writes(seen) == []
