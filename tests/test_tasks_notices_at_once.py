"""A notice that may go at once goes with the change that it tells of; one that may not is fanned out in its turn."""

from dataclasses import replace

import pytest

from lifecycle import Policy
from lifecycle.brake import BrakeLimits
from models import HeldBy, NoticeKind, Outcome
from models.kinds import DELIVERY_DUE, GRANT_UPDATED, NOTICE_DUE
from simulator import Running
from tasks.context import Context
from tasks.notices.at_once import noting_deliveries
from tests.conftest import Rings
from tests.receiving import TASKS, Product, a_notice, deliveries, notices, product, reach, told_at, work
from tests.stories import hint, hints, known, seed
from worker.onward import FEW, Onward
from worker.sweeper import ring_for_telling

__all__ = ["product", "reach"]


async def met(ctx: Context, sim: Running, number: int = 1) -> list[str]:
    """Let users sign in at Nylas, and see that; return the ids of their grants."""
    grant_ids = seed(sim, number)
    await TASKS[GRANT_UPDATED](ctx, await hints(ctx, GRANT_UPDATED, *grant_ids))
    return grant_ids


async def test_a_notice_is_fanned_out_by_the_transaction_that_writes_it(
    reach: Context, sim: Running, rings: Rings, product: Product
) -> None:
    wanting, _other = await told_at(reach, product, "grant.valid"), await told_at(reach, product, "grant.gap")
    [grant_id] = await met(reach, sim)
    [notice] = await notices(reach, grant_id)
    [delivery] = await deliveries(reach)
    assert (notice.kind, notice.outcome, notice.settled_at) == (NoticeKind.VALID, Outcome.DONE, reach.now())
    assert (delivery.notice_id, delivery.endpoint_id, delivery.seq) == (notice.id, wanting.id, notice.seq)
    assert (delivery.grant_id, delivery.since, delivery.settled_at) == (grant_id, reach.now(), None)
    await work(reach, rings)
    assert product.kinds == ["grant.valid"]


async def test_what_nobody_wants_is_settled_with_the_reason(reach: Context, sim: Running, product: Product) -> None:
    await told_at(reach, product, "grant.gap")
    [grant_id] = await met(reach, sim)
    [notice] = await notices(reach, grant_id)
    assert (notice.outcome, notice.reason) == (Outcome.SKIPPED, "no endpoint wants grant.valid")
    assert await deliveries(reach) == []


@pytest.mark.parametrize("held_by", [None, HeldBy.BRAKE])
async def test_behind_another_about_its_grant_that_is_not_told_yet_it_waits_for_its_turn(
    reach: Context, sim: Running, rings: Rings, product: Product, held_by: HeldBy | None
) -> None:
    await told_at(reach, product)
    [grant_id] = await known(reach, sim)
    await work(reach, rings)
    earlier = await a_notice(reach, NoticeKind.GAP, grant_id=grant_id, seq=0, held_by=held_by)
    sim.state.books.by_id.pop(grant_id)
    await TASKS[GRANT_UPDATED](reach, [await hint(reach, GRANT_UPDATED, grant_id)])
    waits = [row for row in await notices(reach, grant_id) if row.settled_at is None]
    assert [row.kind for row in waits if row.id != earlier.id] == [NoticeKind.DELETED]
    product.took.clear()
    await work(reach, rings)
    assert product.kinds == (["grant.deleted"] if held_by else ["grant.gap", "grant.deleted"])


async def test_where_the_brake_leaves_too_little_room_all_wait_for_it(
    reach: Context, sim: Running, rings: Rings, product: Product
) -> None:
    braked = replace(reach, policy=Policy(limits=BrakeLimits(notices=2)))
    await told_at(braked, product, "grant.valid")
    await met(braked, sim, 3)
    assert await deliveries(braked) == []
    await work(braked, rings)
    assert product.kinds == ["grant.valid"] * 2
    assert sorted(str(row.held_by) for row in await notices(braked) if row.grant_id) == ["None", "None", "brake"]


async def test_the_task_that_wrote_a_few_deliveries_sends_them_itself(
    reach: Context, sim: Running, rings: Rings, product: Product
) -> None:
    await told_at(reach, product)
    mine = noting_deliveries()
    await met(reach, sim, 2)
    assert sorted(mine) == sorted(row.id for row in await deliveries(reach))
    await Onward().tell(replace(reach, ring=rings), mine)
    assert (product.kinds, rings.heard) == (["grant.valid"] * 2, [])


@pytest.mark.parametrize("places", [0, 1])
async def test_more_than_a_few_or_without_a_place_go_by_the_queue(
    reach: Context, sim: Running, rings: Rings, product: Product, places: int
) -> None:
    await told_at(reach, product)
    number = FEW + 1 if places else 1
    await met(reach, sim, number)
    mine = [row.id for row in await deliveries(reach)]
    await Onward(places=places).tell(replace(reach, ring=rings), mine)
    assert [(kind, sorted(ids)) for kind, ids in rings.heard] == [(DELIVERY_DUE, sorted(mine))]
    assert product.calls == []


async def test_in_bulk_both_notices_and_deliveries_are_rung_for(
    reach: Context, sim: Running, rings: Rings, product: Product
) -> None:
    await told_at(reach, product)
    await met(reach, sim)
    notice = await a_notice(reach)
    mine = [row.id for row in await deliveries(reach)]
    await ring_for_telling(replace(reach, ring=rings), mine)
    assert rings.heard == [(DELIVERY_DUE, mine), (NOTICE_DUE, [notice.id])]
