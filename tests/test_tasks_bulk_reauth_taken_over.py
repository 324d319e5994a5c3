"""Items of a campaign that another worker takes over, because theirs died or slept past its lease."""

import asyncio
from dataclasses import replace
from functools import partial

from models import CampaignItem, CampaignStatus, Outcome
from models.claims import claim
from simulator import Running
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tasks.flow import Flow
from tests.bulk import ACCOUNT, CUSTOM, started
from tests.conftest import SetClock, another_worker
from tests.stories import fails, known, the_campaign, the_items, until


async def test_items_of_a_dead_worker_are_taken_over_after_its_lease(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, 3, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id = await started(ctx)
    ids = [item.id for item in await the_items(ctx, campaign_id)]
    async with ctx.database.writing() as session:
        await claim(session, CampaignItem, ids, now=clock(), lease=ctx.lease)

    await reauthenticate.run(another_worker(ctx), ids)
    assert sim.state.calls.by_path == {}
    clock.forward(seconds=ctx.lease.total_seconds() + 1)
    await reauthenticate.run(another_worker(ctx), ids)

    items = await the_items(ctx, campaign_id)
    assert {(item.outcome, item.attempts, item.crashes) for item in items} == {(Outcome.DONE, 2, 1)}
    assert (await the_campaign(ctx, campaign_id)).status is CampaignStatus.FINISHED


async def test_a_worker_that_slept_past_its_lease_asks_for_no_more_of_its_items(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, 3, status="invalid", credential_id=ACCOUNT)
    campaign_id = await started(ctx)
    ids = [item.id for item in await the_items(ctx, campaign_id)]
    asked = partial(sim.state.calls.by_path.get, f"POST {CUSTOM}", 0)
    await fails(sim, CUSTOM, delay_ms=1_000, count=1)
    sleeper = asyncio.create_task(reauthenticate.run(replace(another_worker(ctx), flow=Flow(1)), ids))
    await until(lambda: asked() == 1)

    clock.forward(seconds=ctx.lease.total_seconds() + 1)
    await reauthenticate.run(another_worker(ctx), ids[:2])
    await sleeper
    assert asked() == 1 + 2
    await reauthenticate.run(another_worker(ctx), ids)
    assert {item.outcome for item in await the_items(ctx, campaign_id)} == {Outcome.DONE}
