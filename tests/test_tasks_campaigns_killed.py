"""Of a campaign's items no more are asked for again than were under way when the process was killed."""

import asyncio
from contextlib import AsyncExitStack

from simulator import Running
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import WRITERS_AT_ONCE, Context
from tests.conftest import SetClock
from tests.stories import asked_for, fails, known, the_items

CUSTOM = "/v3/connect/custom"


def asked(sim: Running) -> int:
    return sim.state.calls.by_path[f"POST {CUSTOM}"]


async def test_an_item_is_under_way_until_its_result_is_committed(ctx: Context, sim: Running, clock: SetClock) -> None:
    await known(ctx, sim, 20, status="invalid", credential_id="service-account")
    clock.forward(minutes=1)
    campaign_id, event_id = await asked_for(ctx)
    await start_campaigns.run(ctx, [event_id])
    ctx.flow.most = 5
    await fails(sim, CUSTOM, delay_ms=300, count=5)

    items = [item.id for item in await the_items(ctx, campaign_id)]
    running = asyncio.create_task(reauthenticate.run(ctx, items))
    async with asyncio.timeout(20), AsyncExitStack() as nobody_writes:
        while asked(sim) < 5:  # noqa: ASYNC110 - the simulator sets no event
            await asyncio.sleep(0.005)
        for _ in range(1 if ctx.database.is_sqlite else WRITERS_AT_ONCE):
            await nobody_writes.enter_async_context(ctx.turns.turn(quick=True))
        await asyncio.sleep(1)  # the answers come, and can't be committed
        assert asked(sim) == 5
    await running
    assert asked(sim) == 20
    assert all(item.settled_at for item in await the_items(ctx, campaign_id))
