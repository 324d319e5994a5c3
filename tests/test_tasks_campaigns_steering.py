"""Campaigns that are paused, resumed, cancelled, stopped by their own rule, and tried again."""

import asyncio
from dataclasses import replace

import pytest

from lifecycle.campaigning import FEWEST
from models import CampaignStatus, Outcome
from models.kinds import REAUTH_REQUESTED
from simulator import Running
from tasks.campaigns import following
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.ending import give_up
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.starting import write_items
from tasks.campaigns.steering import NotNow, cancel, pause, resume, retry
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tests.bulk import ACCOUNT, CUSTOM, asked, ends, run_out, standing, started
from tests.conftest import Rings, SetClock, another_worker
from tests.stories import fails, known, recovers, the_campaign, the_items, until
from worker.sweeper import sweep

ADMIN = "an admin"
POST = f"POST {CUSTOM}"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "EVERY", 0.02)


def calls(sim: Running) -> int:
    return sim.state.calls.by_path[POST]


@pytest.mark.long
async def test_a_pause_lets_what_is_under_way_end_and_sends_nothing_more(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    """Ten calls at a time, a quarter of a second each: a hundred would take two seconds and a half."""
    ctx.flow.limit = 10.0
    await known(ctx, sim, 100, status="invalid", credential_id=ACCOUNT)
    await fails(sim, CUSTOM, delay_ms=250)
    campaign_id = await started(ctx)
    chunk = asyncio.create_task(reauthenticate.run(ctx, rings.heard.pop()[1]))
    await until(lambda: calls(sim) >= 10)

    await pause(another_worker(ctx), campaign_id, actor=ADMIN)
    await chunk
    sent = calls(sim)
    assert sent <= 30
    items = await the_items(ctx, campaign_id)
    assert sum(item.outcome is Outcome.DONE for item in items) == sent
    waiting = [item for item in items if item.settled_at is None]
    assert {(item.reason, item.attempts, item.lease_until) for item in waiting} == {("its campaign waits", 0, None)}
    clock.forward(minutes=1)
    await sweep(ctx)
    assert REAUTH_REQUESTED not in [kind for kind, _ in rings.heard], "nobody is rung for it"
    assert await standing(ctx, campaign_id) is CampaignStatus.PAUSED

    await recovers(sim)
    await resume(ctx, campaign_id, actor=ADMIN)
    await run_out(ctx, rings)
    assert await standing(ctx, campaign_id) is CampaignStatus.FINISHED
    assert calls(sim) == 100, "each was asked for once"


async def test_what_was_rung_for_before_a_pause_is_not_asked_for(ctx: Context, sim: Running, rings: Rings) -> None:
    await known(ctx, sim, 5, status="invalid", credential_id=ACCOUNT)
    campaign_id = await started(ctx)
    await pause(ctx, campaign_id, actor=ADMIN)
    await run_out(ctx, rings)
    assert calls(sim) == 0


async def test_a_cancelled_campaign_gives_up_what_is_left_and_keeps_what_was_done(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    await known(ctx, sim, 250, status="invalid", credential_id=ACCOUNT)
    campaign_id = await started(ctx)
    await reauthenticate.run(ctx, rings.heard.pop(0)[1])

    await cancel(ctx, campaign_id, actor=ADMIN)
    await run_out(ctx, rings)

    items = await the_items(ctx, campaign_id)
    assert [sum(item.outcome is end for item in items) for end in (Outcome.DONE, Outcome.CANCELLED)] == [200, 50]
    campaign = await the_campaign(ctx, campaign_id)
    assert (campaign.status, campaign.finished_at) == (CampaignStatus.CANCELLED, clock())
    assert calls(sim) == 200


@pytest.mark.parametrize("what", ["all that match", "named ones"])
async def test_a_worker_that_slept_while_a_campaign_was_cancelled_writes_no_items_that_nobody_would_end(
    ctx: Context, sim: Running, what: str
) -> None:
    grant_ids = await known(ctx, sim, 3, status="invalid", credential_id=ACCOUNT)
    asked_for = CampaignRequest(grants=grant_ids) if what == "named ones" else CampaignRequest(filter=GrantFilter())
    planned, _ = await asked(ctx, asked_for)
    await cancel(another_worker(ctx), planned.id, actor=ADMIN)

    await write_items(ctx, planned)

    assert await the_items(ctx, planned.id) == []


async def test_a_worker_that_died_with_items_in_hand_does_not_keep_a_cancelled_campaign_open(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    await known(ctx, sim, 3, status="invalid", credential_id=ACCOUNT)
    campaign_id = await started(ctx)
    doomed = replace(another_worker(ctx), lease=ctx.lease)
    await fails(sim, CUSTOM, delay_ms=5_000)
    chunk = asyncio.create_task(reauthenticate.run(doomed, rings.heard.pop()[1]))
    await until(lambda: calls(sim) == 3)
    await cancel(ctx, campaign_id, actor=ADMIN)
    assert (await the_campaign(ctx, campaign_id)).finished_at is None, "three are in somebody's hand"
    chunk.cancel()
    await asyncio.gather(chunk, return_exceptions=True)

    clock.forward(seconds=ctx.lease.total_seconds() + 1)
    await sweep(ctx)
    assert (await the_campaign(ctx, campaign_id)).finished_at == clock()
    assert {end for end, _ in (await ends(ctx, campaign_id)).values()} == {Outcome.CANCELLED}
    assert await give_up(ctx, campaign_id)


@pytest.mark.long
async def test_too_many_failures_stop_a_campaign_until_somebody_resumes_it(
    ctx: Context, sim: Running, rings: Rings
) -> None:
    ctx.flow.limit = 5.0
    await known(ctx, sim, 200, status="invalid", credential_id=ACCOUNT)
    await fails(sim, CUSTOM, status=400, body={"error": {"type": "provider_error", "message": "no"}}, delay_ms=20)
    campaign_id = await started(ctx, CampaignRequest(filter=GrantFilter(), max_failures="10%"))

    await run_out(ctx, rings)
    campaign = await the_campaign(ctx, campaign_id)
    assert campaign.status is CampaignStatus.STOPPED
    assert campaign.reason is not None
    assert campaign.reason.endswith("failed: more than 10%")
    failed = sum(item.outcome is Outcome.FAILED for item in await the_items(ctx, campaign_id))
    assert FEWEST <= failed < 200

    await recovers(sim)
    await resume(ctx, campaign_id, actor=ADMIN)
    await run_out(ctx, rings)
    campaign = await the_campaign(ctx, campaign_id)
    assert (campaign.status, campaign.max_failures) == (CampaignStatus.FINISHED, None)


async def test_only_what_failed_is_tried_again(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    await known(ctx, sim, 10, status="invalid", credential_id=ACCOUNT)
    await fails(sim, CUSTOM, status=400, body={"error": {"type": "provider_error", "message": "no"}}, count=3)
    campaign_id = await started(ctx)
    await run_out(ctx, rings)
    failed = {id for id, (end, _) in (await ends(ctx, campaign_id)).items() if end is Outcome.FAILED}
    assert (len(failed), await standing(ctx, campaign_id)) == (3, CampaignStatus.FINISHED)
    sim.state.calls.by_path.clear()

    clock.forward(minutes=1)
    assert await retry(ctx, campaign_id, actor=ADMIN) == 3
    assert await standing(ctx, campaign_id) is CampaignStatus.RUNNING
    await run_out(ctx, rings)

    assert calls(sim) == 3
    assert await standing(ctx, campaign_id) is CampaignStatus.FINISHED
    assert {end for end, _ in (await ends(ctx, campaign_id)).values()} == {Outcome.DONE}
    assert await retry(ctx, campaign_id, actor=ADMIN) == 0
    assert await standing(ctx, campaign_id) is CampaignStatus.FINISHED


async def test_what_can_not_be_done_now_is_refused_with_where_the_campaign_is(
    ctx: Context, sim: Running, rings: Rings
) -> None:
    campaign_id = await started(ctx)
    assert await standing(ctx, campaign_id) is CampaignStatus.FINISHED, "it is for nobody"
    for steer in (pause, resume, cancel):
        with pytest.raises(NotNow, match="it is finished: there is nothing to"):
            await steer(ctx, campaign_id, actor=ADMIN)
    with pytest.raises(NotNow, match="there is no campaign"):
        await pause(ctx, ctx.application_id, actor=ADMIN)
