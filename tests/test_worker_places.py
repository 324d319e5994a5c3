"""How many calls to Nylas are under way at once, and that bulk never takes the places of those who wait."""

import asyncio

from worker.budget import in_bulk
from worker.places import RESERVED, Places


async def call(places: Places, going: list[int], ends: asyncio.Event, *, bulk: bool) -> None:
    in_bulk.set(bulk)
    async with places:
        going.append(bulk)
        await ends.wait()
        going.remove(bulk)


async def test_bulk_that_fills_its_places_leaves_some_for_who_has_somebody_waiting() -> None:
    places, going, ends = Places(2), list[int](), asyncio.Event()
    calls = [asyncio.create_task(call(places, going, ends, bulk=True)) for _ in range(5)]
    calls += [asyncio.create_task(call(places, going, ends, bulk=False)) for _ in range(RESERVED + 1)]
    await asyncio.sleep(0.01)
    assert (going.count(True), going.count(False)) == (2, RESERVED)
    ends.set()
    await asyncio.gather(*calls)
    assert going == []


async def test_who_has_somebody_waiting_may_use_the_places_that_bulk_leaves() -> None:
    places, going, ends = Places(2), list[int](), asyncio.Event()
    calls = [asyncio.create_task(call(places, going, ends, bulk=False)) for _ in range(2 + RESERVED + 1)]
    await asyncio.sleep(0.01)
    assert len(going) == 2 + RESERVED
    late = asyncio.create_task(call(places, going, ends, bulk=True))
    await asyncio.sleep(0.01)
    late.cancel()  # while it waits for a place of its own
    ends.set()
    await asyncio.gather(*calls, late, return_exceptions=True)
    await call(places, going, ends, bulk=True)
    assert going == []


async def test_a_place_is_given_back_by_a_call_that_is_cancelled() -> None:
    places, going, ends = Places(1), list[int](), asyncio.Event()
    for _ in range(3):
        one = asyncio.create_task(call(places, going, ends, bulk=True))
        await asyncio.sleep(0.01)
        assert going.count(True) == 1
        one.cancel()
        await asyncio.gather(one, return_exceptions=True)
        going.clear()
