"""Campaigns: many grants re-authenticated, each once, and each with its result."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from lifecycle import GrantStatus
from models import CampaignItem, CampaignStatus, Outcome
from models.kinds import REAUTH_REQUESTED
from simulator import Running
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import BULK_CHUNKS_AT_ONCE, STILL_AT_WORK, Context
from tests.conftest import Rings, SetClock, another_worker
from tests.stories import (
    all_grants,
    asked_for,
    at_nylas,
    fails,
    history,
    known,
    moves,
    recovers,
    the_campaign,
    the_event,
    the_items,
)

CUSTOM = "/v3/connect/custom"
ACCOUNT = "service-account"


async def run_out(ctx: Context, rings: Rings) -> None:
    """Answer rings until nobody rings any more."""
    while rings.heard:
        kind, ids = rings.heard.pop(0)
        assert kind == REAUTH_REQUESTED
        assert len(ids) <= 200
        await reauthenticate.run(ctx, ids)


async def started(ctx: Context, **grants: str) -> UUID:
    """Ask for a campaign and let it start."""
    campaign_id, event_id = await asked_for(ctx, grants)
    await start_campaigns.run(ctx, [event_id])
    return campaign_id


async def still_open(ctx: Context, campaign_id: UUID) -> list[CampaignItem]:
    return [item for item in await the_items(ctx, campaign_id) if item.settled_at is None]


async def test_a_campaign_renews_every_grant_that_it_is_for(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    grant_ids = await known(ctx, sim, 250, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id, event_id = await asked_for(ctx, {"status": "expired"})

    await start_campaigns.run(ctx, [event_id])
    assert (await the_event(ctx, event_id)).reason == "250 grants to re-authenticate"
    assert [len(ids) for _, ids in rings.heard] == [200, 50]
    await run_out(ctx, rings)

    campaign, items = await the_campaign(ctx, campaign_id), await the_items(ctx, campaign_id)
    assert (campaign.status, campaign.total, campaign.finished_at) == (CampaignStatus.FINISHED, 250, clock())
    assert {(item.outcome, item.attempts) for item in items} == {(Outcome.DONE, 1)}
    assert {grant.status for grant in (await all_grants(ctx)).values()} == {GrantStatus.VALID}
    transitions = await history(ctx)
    assert {row.grant_id: row.item_id for row in transitions} == {item.grant_id: item.id for item in items}
    assert {(row.cause, row.event_id) for row in transitions} == {(REAUTH_REQUESTED, None)}
    assert all(row.request_id for row in transitions)
    assert sim.state.calls.by_path == {f"POST {CUSTOM}": 250}
    assert all(sim.state.calls.by_grant[grant_id].total() == 1 for grant_id in grant_ids)


async def test_a_campaign_asked_for_twice_writes_its_items_once(ctx: Context, sim: Running, rings: Rings) -> None:
    await known(ctx, sim, 5, status="invalid", credential_id=ACCOUNT)
    campaign_id, event_id = await asked_for(ctx)
    again = await asked_for(ctx, campaign_id=campaign_id)

    await asyncio.gather(start_campaigns.run(ctx, [event_id]), start_campaigns.run(another_worker(ctx), [again[1]]))
    await start_campaigns.run(ctx, [event_id])

    assert len(await the_items(ctx, campaign_id)) == 5
    assert (await the_campaign(ctx, campaign_id)).total == 5
    rung = [item_id for _, ids in rings.heard for item_id in ids]
    assert len(rung) == len(set(rung)) == 5


async def test_a_campaign_for_nobody_is_finished_at_once(ctx: Context, sim: Running, rings: Rings) -> None:
    await known(ctx, sim, 2)

    campaign_id = await started(ctx, status="expired")

    assert (await the_campaign(ctx, campaign_id)).status is CampaignStatus.FINISHED
    assert rings.heard == []


async def test_an_event_for_a_campaign_that_is_not_there_is_set_aside(ctx: Context) -> None:
    _, event_id = await asked_for(ctx, campaign_id=UUID(int=7))

    await start_campaigns.run(ctx, [event_id])

    event = await the_event(ctx, event_id)
    assert (event.outcome, event.reason) == (Outcome.SET_ASIDE, "there is no such campaign")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ({}, {"google", "microsoft", "other account", "valid", "imap"}),
        ({"provider": "microsoft"}, {"microsoft"}),
        ({"status": "valid"}, {"valid"}),
        ({"credential_id": "other"}, {"other account"}),
        ({"provider": "google", "status": "expired", "credential_id": ACCOUNT}, {"google"}),
    ],
)
async def test_a_campaign_is_for_the_grants_that_its_filter_names(
    ctx: Context, sim: Running, clock: SetClock, wanted: dict[str, str], chosen: set[str]
) -> None:
    named = {
        "google": await known(ctx, sim, status="invalid", credential_id=ACCOUNT),
        "microsoft": await known(ctx, sim, status="invalid", credential_id=ACCOUNT, provider="microsoft"),
        "other account": await known(ctx, sim, status="invalid", credential_id="other"),
        "valid": await known(ctx, sim, credential_id=ACCOUNT),
        "deleted": await known(ctx, sim, credential_id=ACCOUNT),
    }
    sim.state.books.delete(at_nylas(sim, named["deleted"][0]))
    clock.forward(minutes=1)
    named["imap"] = await known(ctx, sim, provider="imap", status="invalid")  # its sync sees the deletion as well

    campaign_id = await started(ctx, **wanted)

    items = await the_items(ctx, campaign_id)
    assert {item.grant_id for item in items} == {named[name][0] for name in chosen}


async def test_a_grant_without_a_credential_is_skipped_with_the_reason(
    ctx: Context, sim: Running, rings: Rings
) -> None:
    await known(ctx, sim, 2, status="invalid")
    campaign_id = await started(ctx)

    await run_out(ctx, rings)

    told = "it has no credential: only its user can sign in again"
    items = await the_items(ctx, campaign_id)
    assert {(item.outcome, item.reason) for item in items} == {(Outcome.SKIPPED, told)}
    assert (await the_campaign(ctx, campaign_id)).status is CampaignStatus.FINISHED
    assert sim.state.calls.by_path == {}


async def test_a_broken_credential_fails_its_items_with_nylas_reason_and_changes_no_grant(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    await known(ctx, sim, 2, status="invalid", credential_id=ACCOUNT)
    [good] = await known(ctx, sim, status="invalid", credential_id="other")
    clock.forward(minutes=1)
    async with httpx.AsyncClient(base_url=sim.url) as http:
        await http.post(f"/_sim/credentials/{ACCOUNT}/break", json={})
    campaign_id = await started(ctx)

    await run_out(ctx, rings)

    failed = [item for item in await the_items(ctx, campaign_id) if item.grant_id != good]
    assert {item.outcome for item in failed} == {Outcome.FAILED}
    assert all(item.reason and item.reason.startswith("Nylas answered 400 (bad_request)") for item in failed)
    assert all(item.request_id for item in failed)
    assert await moves(ctx) == ["expired → valid"]
    assert (await the_campaign(ctx, campaign_id)).status is CampaignStatus.FINISHED


async def test_what_the_provider_said_stands_in_the_reason(ctx: Context, sim: Running, rings: Rings) -> None:
    await known(ctx, sim, status="invalid", credential_id=ACCOUNT)
    sim.state.broken_credentials.add(ACCOUNT)
    campaign_id = await started(ctx)

    await run_out(ctx, rings)

    [item] = await the_items(ctx, campaign_id)
    assert "invalid_grant" in (item.reason or "")


@pytest.mark.parametrize(
    ("trouble", "at_least"),
    [
        ({"status": 503}, 0.5),
        ({"mode": "drop"}, 0.5),
        ({"mode": "after_effect_drop"}, 0.5),
        ({"status": 401, "path": "/v3/*"}, 5),
        ({"status": 401}, 0.5),
        ({"status": 429, "headers": {"Retry-After": "20"}}, 20),
        ({"status": 429, "body": {"error": {"type": "rate_limit_error", "provider_error": {"error": "quota"}}}}, 0.5),
    ],
    ids=[
        "unavailable",
        "lost on its way",
        "answer lost",
        "key refused",
        "refused alone",
        "too fast",
        "the provider's limit",
    ],
)
async def test_items_wait_out_a_trouble_and_are_done_then(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings, trouble: dict[str, object], at_least: float
) -> None:
    await known(ctx, sim, 3, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id = await started(ctx)
    await fails(sim, **{"path": CUSTOM, **trouble})

    await run_out(ctx, rings)
    items = await the_items(ctx, campaign_id)
    assert {(item.settled_at, item.claim_token) for item in items} == {(None, None)}
    assert all(item.due_at >= clock() + timedelta(seconds=at_least) and item.reason for item in items)
    assert (await the_campaign(ctx, campaign_id)).status is CampaignStatus.RUNNING
    assert await moves(ctx) == []

    await recovers(sim)
    clock.forward(minutes=2)
    await reauthenticate.run(ctx, [item.id for item in items])
    assert {item.outcome for item in await the_items(ctx, campaign_id)} == {Outcome.DONE}
    assert (await the_campaign(ctx, campaign_id)).status is CampaignStatus.FINISHED
    assert await moves(ctx) == ["expired → valid"] * 3


async def test_an_answer_for_another_grant_fails_the_item_and_leaves_both_as_they_are(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    mine, other = await known(ctx, sim, 2, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id = await started(ctx)
    answer = at_nylas(sim, other).view() | {"grant_status": "valid"}
    await fails(sim, CUSTOM, status=201, body={"data": answer})

    await run_out(ctx, rings)

    [item] = [item for item in await the_items(ctx, campaign_id) if item.grant_id == mine]
    assert (item.outcome, item.reason) == (
        Outcome.FAILED,
        f"Nylas answered with another grant ({other}) for this mailbox",
    )
    assert await moves(ctx, mine) == []


async def test_a_process_whose_hands_are_full_claims_nothing_and_another_takes_it(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, 3, status="invalid", credential_id=ACCOUNT)
    campaign_id = await started(ctx)
    ids = [item.id for item in await the_items(ctx, campaign_id)]
    for _ in range(BULK_CHUNKS_AT_ONCE):
        await ctx.bulk.acquire()

    await reauthenticate.run(ctx, ids)
    left = await the_items(ctx, campaign_id)
    assert {(item.attempts, item.claim_token, item.rung_at) for item in left} == {(0, None, None)}

    await reauthenticate.run(another_worker(ctx), ids)
    assert {item.outcome for item in await the_items(ctx, campaign_id)} == {Outcome.DONE}


async def test_a_slow_mailbox_holds_up_no_other_and_a_stop_loses_no_result_and_asks_for_none_twice_at_once(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, 20, status="invalid", credential_id=ACCOUNT)
    clock.forward(minutes=1)
    campaign_id = await started(ctx)
    await fails(sim, CUSTOM, delay_ms=5_000, count=1)
    running = asyncio.create_task(reauthenticate.run(ctx, [item.id for item in await the_items(ctx, campaign_id)]))
    async with asyncio.timeout(4.5):
        while len(left := await still_open(ctx, campaign_id)) > 1:  # noqa: ASYNC110 - a row sets no event
            await asyncio.sleep(0.01)
    [slow] = left
    assert not running.done()
    assert slow.claim_token is not None
    assert len(await moves(ctx)) == 19

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [let_go] = await still_open(ctx, campaign_id)
    assert (let_go.id, let_go.claim_token, let_go.due_at) == (slow.id, None, clock() + STILL_AT_WORK)
