"""How many calls are under way: fewer in trouble, more again when it is over, and never none."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from nylas_api import Garbled, RateLimited, Rejected, Unavailable
from tasks import flow as module
from tasks.flow import Flow


@pytest.fixture(autouse=True)
def _each_trouble_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ONCE_A", 0.0)


async def under_way(flow: Flow, stack: AsyncExitStack, number: int) -> None:
    for _ in range(number):
        await stack.enter_async_context(flow.place())


async def test_without_trouble_there_is_no_limit() -> None:
    flow = Flow()
    async with AsyncExitStack() as stack, asyncio.timeout(5):
        await under_way(flow, stack, 500)
        flow.heard("an answer")
        assert flow.limit is None


@pytest.mark.parametrize("trouble", [RateLimited("429"), Unavailable("503"), Garbled("html")])
async def test_trouble_halves_what_is_under_way(trouble: Exception) -> None:
    flow = Flow()
    async with AsyncExitStack() as stack:
        await under_way(flow, stack, 40)
        flow.heard(trouble)
        assert flow.limit == 20
        flow.heard(trouble)
        assert flow.limit == 10
        for _ in range(20):
            flow.heard(trouble)
        assert flow.limit == 1


async def test_what_tells_of_one_mailbox_alone_is_no_trouble() -> None:
    flow = Flow()
    async with AsyncExitStack() as stack:
        await under_way(flow, stack, 40)
        flow.heard(RateLimited("the provider's", provider_limit=True))
        flow.heard(Rejected("no such mailbox"))
    assert flow.limit is None


async def test_calls_that_were_under_way_together_tell_of_one_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ONCE_A", 60.0)
    flow = Flow()
    async with AsyncExitStack() as stack:
        await under_way(flow, stack, 40)
        for _ in range(40):
            flow.heard(Unavailable("503"))
    assert flow.limit == 20


async def test_each_round_of_answers_lets_one_more_go() -> None:
    flow = Flow()
    flow.limit = 4.0
    for _ in range(4):
        flow.heard("an answer")
    assert 4.8 < flow.limit < 5.0
    for _ in range(5):
        flow.heard("an answer")
    assert 5.6 < flow.limit < 6.0


async def test_who_waits_goes_in_order_when_others_have_ended() -> None:
    flow = Flow()
    flow.limit = 2.0
    gone: list[int] = []
    most = 0

    async def call(number: int) -> None:
        nonlocal most
        async with flow.place():
            most = max(most, flow.under_way)
            gone.append(number)
            await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await asyncio.gather(*(call(number) for number in range(20)))
    assert (gone, most, flow.under_way) == (list(range(20)), 2, 0)


async def test_one_that_is_cancelled_while_it_waits_keeps_nobody_out() -> None:
    flow = Flow()
    flow.limit = 1.0
    async with flow.place():
        waiting = [asyncio.create_task(flow.place().__aenter__()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.gather(waiting[0], waiting[1], return_exceptions=True)
    async with asyncio.timeout(5):
        await waiting[2]
    assert flow.under_way == 1
