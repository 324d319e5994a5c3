"""Telling at once: little goes from an event to the product within one process, all else by the queue."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from models import Outcome
from models.kinds import DELIVERY_DUE, NOTICE_DUE
from tasks.context import Context
from tests.conftest import Rings
from tests.receiving import Product, a_notice, a_product, deliveries, notices, product, reach, told_at
from worker.onward import FEW, Onward

__all__ = ["product", "reach"]


async def tell(ctx: Context, rings: Rings, **how: int) -> None:
    """Tell what is due, as a task does after its work."""
    await Onward(**how).tell(replace(ctx, ring=rings), [])


async def test_a_notice_reaches_the_product_without_a_message(reach: Context, rings: Rings, product: Product) -> None:
    await told_at(reach, product)
    notice = await a_notice(reach)
    await tell(reach, rings)
    assert product.calls == [str(notice.id)]
    assert rings.heard == []
    assert [row.outcome for row in await deliveries(reach)] == [Outcome.DONE]


async def test_more_than_a_few_notices_go_by_the_queue(reach: Context, rings: Rings, product: Product) -> None:
    await told_at(reach, product)
    due = [(await a_notice(reach)).id for _ in range(FEW + 2)]
    await tell(reach, rings)
    assert sorted(product.calls) == sorted(str(id) for id in due[:FEW])
    assert [(kind, sorted(ids)) for kind, ids in rings.heard] == [(NOTICE_DUE, sorted(due[FEW:]))]


async def test_more_than_a_few_deliveries_go_by_the_queue(reach: Context, rings: Rings) -> None:
    async with a_product() as one, a_product() as other:
        for product in (one, other):
            await told_at(reach, product)
        for _ in range(FEW - 1):
            await a_notice(reach)
        await tell(reach, rings)
        assert (one.calls, other.calls) == ([], [])
        assert [(kind, len(ids)) for kind, ids in rings.heard] == [(DELIVERY_DUE, FEW - 1)] * 2


async def test_who_would_have_to_wait_for_a_turn_tells_by_the_queue(
    reach: Context, rings: Rings, product: Product
) -> None:
    await told_at(reach, product)
    notice = await a_notice(reach)
    crowded = replace(reach, ring=rings)  # it has turns of its own
    async with AsyncExitStack() as writers:
        while crowded.turns.free:
            await writers.enter_async_context(crowded.turns.turn(quick=True))
        telling = asyncio.create_task(Onward().tell(crowded, []))
        await asyncio.wait([telling], timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert telling.done()
    assert rings.heard == [(NOTICE_DUE, [notice.id])]
    assert product.calls == []


async def test_while_the_places_are_taken_all_goes_by_the_queue(reach: Context, rings: Rings, product: Product) -> None:
    await told_at(reach, product)
    notice = await a_notice(reach)
    await tell(reach, rings, places=0)
    assert rings.heard == [(NOTICE_DUE, [notice.id])]
    assert product.calls == []


async def test_what_is_told_is_not_told_again(reach: Context, rings: Rings, product: Product) -> None:
    await told_at(reach, product)
    await a_notice(reach)
    await tell(reach, rings)
    await tell(reach, rings)
    assert (len(product.calls), rings.heard) == (1, [])


async def test_who_is_stopped_on_the_way_leaves_what_is_not_told_due(
    reach: Context, rings: Rings, product: Product
) -> None:
    product.hangs = True
    silent = await told_at(reach, product)
    await a_notice(reach)
    async with a_product() as other:
        await told_at(reach, other)
        telling = asyncio.create_task(tell(reach, rings))
        await other.has_taken(1)
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
    [delivery] = await deliveries(reach, silent)
    assert (delivery.settled_at, delivery.claim_token, delivery.rung_at) == (None, None, None)
    assert [notice.outcome for notice in await notices(reach)] == [Outcome.DONE]
