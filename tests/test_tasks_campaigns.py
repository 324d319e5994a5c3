"""Campaigns as they are chosen, planned and served: whom they are for, in which order, and beside each other."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, update
from sqlmodel import col

from lifecycle import GrantStatus
from models import CampaignStatus, Grant, GrantTag, Outcome, Way
from models.kinds import REAUTH_REQUESTED
from simulator import Running
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.planning import Refused
from tasks.campaigns.preview import NO_CREDENTIAL, TAKEN, preview
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.serving import ring_next
from tasks.campaigns.steering import cancel
from tasks.context import Context
from tests.bulk import ACCOUNT, CUSTOM, asked, ends, in_order, run_out, standing, started
from tests.conftest import Rings, SetClock, another_worker
from tests.stories import at_nylas, known, the_campaign, the_items
from worker.sweeper import sweep

HOUR = timedelta(hours=1)
ALL = GrantFilter()


async def changed(ctx: Context, grant_id: str, **values: object) -> None:
    """Change what we hold of a grant."""
    async with ctx.database.writing() as session:
        await session.execute(update(Grant).where(col(Grant.id) == grant_id).values(values))


async def test_each_filter_chooses_its_grants(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    now = clock()
    fresh, late, tagged, elsewhere, plain = await known(ctx, sim, 5, credential_id=ACCOUNT)
    expired = {"status": GrantStatus.EXPIRED, "confirm_at": now}
    await changed(ctx, fresh, expired_at=now - 2 * HOUR, expiry_seen_at=now - 2 * HOUR, **expired)
    await changed(ctx, late, expired_at=now - 70 * HOUR, expiry_seen_at=now - 70 * HOUR, **expired)
    await changed(ctx, elsewhere, email="Somebody@Other.example")
    async with ctx.database.writing() as session:
        await session.execute(insert(GrantTag), [{"grant_id": tagged, "tag": "vip"}])

    chosen = {
        "tag": ({"tag": "vip"}, {tagged}),
        "domain": ({"email_domain": "OTHER.example"}, {elsewhere}),
        "since": ({"expired_since": now - 3 * HOUR}, {fresh}),
        "before": ({"expired_before": now - 3 * HOUR}, {late}),
        "hours left": ({"hours_left": 3}, {late}),
        "many hours left": ({"hours_left": 72}, {fresh, late}),
        "status": ({"status": "valid", "tag": "vip"}, {tagged}),
        "one": ({"grant_id": plain}, {plain}),
    }
    for name, (filters, grants) in chosen.items():
        campaign_id = await started(ctx, CampaignRequest(filter=GrantFilter.model_validate(filters)))
        assert set(await ends(ctx, campaign_id)) == grants, name
        await cancel(ctx, campaign_id, actor="an admin")


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter": {"provider": ""}},
        {"filter": {"email_domain": "a@b"}},
        {"filter": {"hours_left": 0}},
        {"filter": {"hours_left": 73}},
        {"filter": {"tag": "two words"}},
        {"filter": {"unknown": 1}},
        {"grants": []},
        {"max_failures": "many"},
        {"rate": 0},
        {"idempotency_key": "with space"},
        {"surprise": True},
    ],
)
def test_what_a_request_can_not_mean_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CampaignRequest.model_validate(wrong)


async def test_a_request_says_in_one_way_whom_it_is_for(ctx: Context) -> None:
    for request in (CampaignRequest(), CampaignRequest(filter=ALL, grants=["a"])):
        with pytest.raises(Refused, match="say whom it is for"):
            await asked(ctx, request)


async def test_the_same_key_is_the_same_campaign_and_never_another_one(ctx: Context, sim: Running) -> None:
    request = CampaignRequest(filter=ALL, idempotency_key="monday")
    both = await asyncio.gather(asked(ctx, request), asked(another_worker(ctx), request))
    assert len({campaign.id for campaign, _ in both}) == 1
    assert sorted(len(events) for _, events in both) == [0, 1]
    with pytest.raises(Refused, match="use a new key"):
        await asked(ctx, CampaignRequest(filter=ALL, idempotency_key="monday", rate=5))


async def test_names_are_ids_or_addresses_and_those_that_are_neither_are_told(
    ctx: Context, sim: Running, rings: Rings
) -> None:
    first, second, third = await known(ctx, sim, 3, credential_id=ACCOUNT)
    await changed(ctx, third, email=at_nylas(sim, second).email)
    names = [
        first,
        at_nylas(sim, first).email.upper(),
        str(at_nylas(sim, second).email),
        "nobody@example.com",
        "nothing",
    ]

    campaign_id = await started(ctx, CampaignRequest(grants=names))
    await run_out(ctx, rings)

    items = sorted(await the_items(ctx, campaign_id), key=lambda item: item.line or 0)
    assert [(item.line, item.outcome, item.reason) for item in items] == [
        (1, Outcome.DONE, None),
        (2, Outcome.SKIPPED, f"grant {first} was named before"),
        (3, Outcome.SKIPPED, "2 grants have this address: name one by its id"),
        (4, Outcome.SKIPPED, "no grant of ours has this id or address"),
        (5, Outcome.SKIPPED, "no grant of ours has this id or address"),
    ]
    assert (await the_campaign(ctx, campaign_id)).total == 5


async def test_who_has_least_time_left_is_served_first(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings
) -> None:
    now = clock()
    over, urgent, calm, valid = await known(ctx, sim, 4, credential_id=ACCOUNT)
    for grant_id, hours in ((over, 100), (urgent, 71), (calm, 1)):
        await changed(ctx, grant_id, expired_at=now - hours * HOUR, status=GrantStatus.EXPIRED)

    await started(ctx)
    [(kind, ids)] = rings.heard
    assert kind == REAUTH_REQUESTED
    assert (await in_order(ctx, list(ids)))[:2] == [urgent, calm]
    assert set(await in_order(ctx, list(ids))) == {over, urgent, calm, valid}


async def test_a_grant_is_open_in_one_campaign_at_a_time(ctx: Context, sim: Running, rings: Rings) -> None:
    mine, other = await known(ctx, sim, 2, credential_id=ACCOUNT)
    first = await started(ctx, CampaignRequest(filter=GrantFilter(grant_id=mine)))
    second = await started(ctx)

    assert (await ends(ctx, second))[mine] == (Outcome.SKIPPED, f"it is in campaign {first} that runs")
    assert (await ends(ctx, second))[other] == (None, None)
    await run_out(ctx, rings)
    assert sim.state.calls.by_path[f"POST {CUSTOM}"] == 2
    third = await started(ctx)
    await run_out(ctx, rings)
    assert {end for end, _ in (await ends(ctx, third)).values()} == {Outcome.DONE}, "it is free again"


async def test_campaigns_are_served_in_turns(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    await known(ctx, sim, 500, provider="google", credential_id=ACCOUNT)
    await known(ctx, sim, 500, provider="microsoft", credential_id=ACCOUNT)
    big = await started(ctx, CampaignRequest(filter=GrantFilter(provider="google")))
    small = await started(ctx, CampaignRequest(filter=GrantFilter(provider="microsoft")))
    of = {item.id: id for id in (big, small) for item in await the_items(ctx, id)}
    rings.heard.clear()

    clock.forward(minutes=1)
    for _ in range(6):
        clock.forward(seconds=1)
        await ring_next(ctx)
    turns = [{of[id] for id in ids} for _, ids in rings.heard]
    assert [len(one) for one in turns] == [1] * 6
    assert turns[:2] == turns[2:4] == turns[4:]
    assert turns[0] != turns[1]


async def test_a_campaign_keeps_to_a_pace_of_its_own(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    """Ten a second, whoever rings how often: workers that end a chunk, and a sweep each second."""
    await known(ctx, sim, 300, credential_id=ACCOUNT)
    campaign_id = await started(ctx, CampaignRequest(filter=ALL, rate=10))
    rung = []
    for _ in range(20):
        await sweep(ctx)
        await ring_next(ctx, chunks=4)
        rung.append(sum(len(ids) for kind, ids in rings.heard if kind == REAUTH_REQUESTED))
        rings.heard.clear()
        clock.forward(seconds=1)
    assert rung == [10] * 20
    clock.forward(minutes=10)
    assert await ring_next(ctx, chunks=4) <= 30, "what was missed is not caught up all at once"
    assert await standing(ctx, campaign_id) is CampaignStatus.RUNNING


async def test_a_preview_says_what_will_be(ctx: Context, sim: Running, clock: SetClock, rings: Rings) -> None:
    await known(ctx, sim, 6, credential_id=ACCOUNT)
    [taken] = await known(ctx, sim, 1, provider="microsoft", credential_id=ACCOUNT)
    await known(ctx, sim, 3, provider="imap")
    await started(ctx, CampaignRequest(filter=GrantFilter(grant_id=taken)))

    async with ctx.database.reading() as session:
        plan = await preview(session, ctx.application_id, ALL, ask_users=False, now=clock())
        asking = await preview(session, ctx.application_id, ALL, ask_users=True, now=clock())
    assert (plan.ways, plan.skipped) == ({Way.CREDENTIAL: 6}, {NO_CREDENTIAL: 3, TAKEN: 1})
    assert (plan.matching, plan.calls, plan.seconds(budget=50, rate=2), plan.seconds(budget=0, rate=None)) == (
        10,
        6,
        3,
        None,
    )
    assert asking.ways == {Way.CREDENTIAL: 6, Way.HOSTED: 3}
    assert plan.in_words(budget=50, rate=2) == (
        "10 grants match: 6 by their credential, in about 3 s at 2 calls a second. "
        "1 are skipped: they are in another campaign that runs. "
        "3 are skipped: they have no credential: only their users can sign in again."
    )

    campaign_id = await started(ctx)
    open_now = sum(end is None for end, _ in (await ends(ctx, campaign_id)).values())
    assert open_now == plan.calls
    await run_out(ctx, rings)
