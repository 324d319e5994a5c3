"""What Nylas may be at work on yet, or has answered already, is not asked for again."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from models import Outcome
from nylas_api import NylasClient, open_http
from simulator import Running
from tasks.campaigns import working
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import STILL_AT_WORK, Context
from tests.conftest import API_KEY, CLIENT_ID, Rings, SetClock
from tests.failing_together import ACCOUNT
from tests.stories import asked_for, fails, known, moves, recovers, the_items, until

CUSTOM = "/v3/connect/custom"
PATIENCE = timedelta(seconds=0.3)


async def test_a_renewal_whose_answer_is_late_is_asked_for_again_when_nylas_must_have_done_with_it(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    await known(ctx, sim, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id, event_id = await asked_for(ctx)
    await start_campaigns.run(ctx, [event_id])
    await fails(sim, CUSTOM, mode="hang_after_effect", delay_ms=2_000)
    http = open_http(connections=1)
    nylas = NylasClient(api_uri=sim.url, api_key=API_KEY, client_id=CLIENT_ID, http=http, now=clock, deadline=PATIENCE)

    [item] = await the_items(ctx, campaign_id)
    await reauthenticate.run(replace(ctx, nylas=nylas), [item.id])
    await http.aclose()

    [item] = await the_items(ctx, campaign_id)
    assert (item.settled_at, item.claim_token) == (None, None)
    assert "within 0.3 s" in (item.reason or "")
    assert item.due_at > clock() + STILL_AT_WORK

    await recovers(sim)
    clock.time += STILL_AT_WORK
    await reauthenticate.run(ctx, [item.id])
    assert await moves(ctx) == []
    clock.time = item.due_at
    await reauthenticate.run(ctx, [item.id])
    assert [item.outcome for item in await the_items(ctx, campaign_id)] == [Outcome.DONE]
    assert await moves(ctx) == ["expired → valid"]


async def test_what_has_been_answered_when_the_worker_is_stopped_is_written_down_and_not_asked_for_again(
    ctx: Context, sim: Running, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(ctx, sim, 3, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id, event_id = await asked_for(ctx)
    await start_campaigns.run(ctx, [event_id])
    await fails(sim, CUSTOM, delay_ms=60_000, count=1)
    monkeypatch.setattr(working, "A_MOMENT", 60.0)  # more results are waited for when it is stopped

    running = asyncio.create_task(reauthenticate.run(ctx, [item.id for item in await the_items(ctx, campaign_id)]))
    await until(lambda: sim.state.calls.renewals.total() == 2)
    await asyncio.sleep(0.1)  # for the answers
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    items = await the_items(ctx, campaign_id)
    assert sorted(str(item.outcome or "open") for item in items) == ["done", "done", "open"]
    [left] = [item for item in items if item.settled_at is None]
    assert (left.claim_token, left.due_at) == (None, clock() + STILL_AT_WORK)
    assert await moves(ctx) == ["expired → valid"] * 2
