"""Turns to write: few at a time, the quick ones first, and none lost with whoever waits no more."""

import asyncio

import pytest

from models import Outcome
from models.kinds import GRANT_UPDATED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import look_at_updated
from tasks.turns import Turns
from tests.stories import hints, known, outcomes


class Writers:
    """Writers in a line, and who has written."""

    def __init__(self, places: int) -> None:
        self.turns, self.wrote, self.at_once, self.most = Turns(places), list[str](), 0, 0

    def start(self, name: str, *, quick: bool = False) -> asyncio.Task[None]:
        """Let somebody come who writes when their turn is."""

        async def write() -> None:
            async with self.turns.turn(quick=quick):
                self.at_once += 1
                self.most = max(self.most, self.at_once)
                await asyncio.sleep(0)
                self.wrote.append(name)
                self.at_once -= 1

        return asyncio.create_task(write())


async def test_they_write_as_they_came_and_who_is_quick_goes_first() -> None:
    writers = Writers(1)

    await asyncio.gather(*(writers.start(name, quick=name.isupper()) for name in ("a", "b", "c", "D", "E")))

    assert writers.wrote == ["a", "D", "E", "b", "c"]
    assert writers.most == 1


@pytest.mark.parametrize("places", [1, 4])
async def test_no_more_write_at_once_than_there_are_places(places: int) -> None:
    writers = Writers(places)

    await asyncio.gather(*(writers.start(str(number), quick=number % 3 == 0) for number in range(30)))

    assert len(writers.wrote) == 30
    assert writers.most == places


async def test_who_waits_no_more_takes_no_turn_along() -> None:
    writers = Writers(1)

    async def write_first() -> None:
        async with writers.turns.turn(quick=False):
            await asyncio.sleep(0)
        called.cancel()  # the turn is its own by now, and it doesn't know yet

    first = asyncio.create_task(write_first())
    waiting, called, last = (writers.start(name) for name in ("waiting", "called", "last"))
    await asyncio.sleep(0)
    waiting.cancel()

    await asyncio.wait([first, waiting, called, last])

    assert writers.wrote == ["last"]
    assert (waiting.cancelled(), called.cancelled()) == (True, True)
    assert await asyncio.wait_for(writers.start("later"), 1) is None


async def test_who_fails_passes_the_turn_on() -> None:
    turns = Turns(1)
    with pytest.raises(RuntimeError, match="mine"):
        async with turns.turn(quick=False):
            raise RuntimeError("mine")
    async with asyncio.timeout(1), turns.turn(quick=False):
        pass


async def test_more_tasks_than_connections_settle_at_the_same_moment(ctx: Context, sim: Running) -> None:
    grant_ids = await known(ctx, sim, 40)
    told = await hints(ctx, GRANT_UPDATED, *grant_ids)

    await asyncio.gather(*(look_at_updated.run(ctx, [event_id]) for event_id in told))

    assert set(await outcomes(ctx, told)) == {Outcome.DONE}
