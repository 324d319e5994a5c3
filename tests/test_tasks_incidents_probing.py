"""An open incident: its canary is looked at until it is well, then all of its grants, and then it is over."""

import asyncio

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from lifecycle import GrantStatus
from models import CampaignStatus, Grant, HeldBy, Incident, NoticeKind, Outcome
from models.claims import claim
from models.kinds import REAUTH_BULK_REQUESTED, REAUTH_REQUESTED
from simulator import Running
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tasks.incidents import its_grants
from tasks.probing import campaign_of, probe
from tests.conftest import Rings, SetClock, another_worker
from tests.failing_together import (
    ACCOUNT,
    fail,
    goes_out,
    held,
    incidents,
    notices,
    probes,
    second_looks,
    the_incident,
    told_of,
    unsettled,
    work_again,
)
from tests.stories import all_grants, at_nylas, fails, known, recovers, the_campaign, the_grant


@pytest.fixture
async def failed(ctx: Context, sim: Running, clock: SetClock) -> list[str]:
    """Twenty-five grants of one service account that failed together, and 75 others that work."""
    ids = await known(ctx, sim, 25, credential_id=ACCOUNT)
    await known(ctx, sim, 75)
    clock.forward(minutes=1)
    sim.state.broken_credentials.add(ACCOUNT)
    await fail(ctx, sim, *ids)
    sim.state.calls.by_path.clear()
    sim.state.calls.by_grant.clear()
    return ids


async def test_nobody_is_asked_but_one_canary_and_less_often_when_it_lasts(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    await probes(ctx, clock, times=10)
    assert sim.state.calls.by_path["GET /v3/grants/{id}"] == 10
    await probes(ctx, clock, times=40)
    assert sim.state.calls.by_path["GET /v3/grants/{id}"] < 30
    await probes(ctx, clock, times=3, minutes=10)

    incident = await the_incident(ctx)
    assert set(sim.state.calls.by_grant) & set(failed) == {incident.canary}
    assert (incident.settled_at, incident.attempts, incident.crashes, incident.grants) == (None, 0, 0, 25)
    assert incident.reason is not None
    assert incident.reason.startswith("its canary is still invalid and can't be renewed: Nylas answered 400")
    assert await goes_out(ctx) == {"incident.opened": 1}


async def test_when_all_work_again_it_is_closed_and_no_user_ever_hears_of_it(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    work_again(sim, *failed)
    await probes(ctx, clock)

    incident = await the_incident(ctx)
    assert (incident.settled_at, incident.outcome) == (clock(), Outcome.DONE)
    assert incident.reason == "25 of 25 grants work again"
    assert {grant.status for grant in (await all_grants(ctx)).values()} == {GrantStatus.VALID}
    [closed] = await notices(ctx, NoticeKind.INCIDENT_CLOSED)
    assert (closed.data["recovered"], closed.data["still_failing"], closed.data["grants"]) == (25, 0, 25)
    clock.forward(days=30)
    await second_looks(ctx)
    assert await goes_out(ctx) == {"incident.opened": 1, "incident.closed": 1}
    assert await held(ctx) == {}
    assert {one.outcome for one in await notices(ctx, NoticeKind.EXPIRED)} == {Outcome.SKIPPED}


async def test_when_half_recover_the_others_are_told_and_only_they(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    still = [grant_id for grant_id in failed if grant_id != canary][:12]
    work_again(sim, *set(failed) - set(still))

    await probes(ctx, clock, minutes=3)

    assert (await the_incident(ctx)).reason == "13 of 25 grants work again"
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(still)
    assert await told_of(ctx, NoticeKind.REAUTH_REQUIRED) == set(still)
    assert await held(ctx) == {}


async def test_those_that_an_incident_was_over_for_do_not_belong_to_the_next(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    still = [grant_id for grant_id in failed if grant_id != canary][:12]
    again = sorted(set(failed) - set(still))
    work_again(sim, *again)
    await probes(ctx, clock, minutes=3)
    clock.forward(minutes=1)

    await fail(ctx, sim, *again)

    first, second = await incidents(ctx)
    async with ctx.database.reading() as session:
        members = set(await session.scalars(select(col(Grant.id)).where(its_grants(ctx, second))))
    assert (members, second.since) == (set(again), first.settled_at)
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(still)
    assert await held(ctx) == {HeldBy.INCIDENT: 13}


async def test_what_no_second_look_has_confirmed_yet_is_told_only_after_one(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    one, other, *still = [grant_id for grant_id in failed if grant_id != canary]
    work_again(sim, one, canary or "")
    work_again(sim, *still[3:])

    await probes(ctx, clock, minutes=1)  # the grace is two minutes
    assert (await the_incident(ctx)).settled_at
    assert await told_of(ctx, NoticeKind.EXPIRED) == set()
    assert await held(ctx) == {HeldBy.CONFIRMATION: 4}

    work_again(sim, still[0])
    clock.forward(minutes=2)
    await second_looks(ctx)
    assert await told_of(ctx, NoticeKind.EXPIRED) == {other, *still[1:3]}
    assert await held(ctx) == {}


async def test_a_canary_whose_user_came_back_does_not_end_it_for_the_others(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    work_again(sim, canary or "")
    await probes(ctx, clock)

    incident = await the_incident(ctx)
    assert (incident.settled_at, incident.until) == (None, None)
    assert incident.canary in set(failed) - {canary}
    assert incident.reason == "only 1 of 25 grants work again: it goes on, with another canary"
    assert await held(ctx) == {HeldBy.INCIDENT: 24}
    assert set(await goes_out(ctx)) == {"incident.opened"}

    work_again(sim, *failed)
    await probes(ctx, clock)
    assert (await the_incident(ctx)).reason == "25 of 25 grants work again"


async def test_a_canary_that_was_deleted_is_replaced_and_with_the_last_grant_the_incident_ends(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    sim.state.books.delete(at_nylas(sim, canary or ""))
    await probes(ctx, clock)
    assert (await the_grant(ctx, canary or "")).status is GrantStatus.DELETED
    await probes(ctx, clock, minutes=0)
    incident = await the_incident(ctx)
    assert incident.canary not in (canary, None)
    assert incident.settled_at is None

    for grant_id in set(failed) - {canary}:
        sim.state.books.delete(at_nylas(sim, grant_id))
    await probes(ctx, clock, times=30)
    assert (await the_incident(ctx)).reason == "0 of 0 grants work again"
    assert await held(ctx) == {}


async def test_a_nylas_that_is_away_ends_nothing_and_counts_for_nothing(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    await fails(sim, "/v3/*", status=503)
    await probes(ctx, clock, times=4, minutes=10)
    incident = await the_incident(ctx)
    assert (incident.settled_at, incident.attempts, incident.crashes) == (None, 0, 0)
    assert incident.reason is not None
    assert "503" in incident.reason
    assert await held(ctx) == {HeldBy.INCIDENT: 25}

    await recovers(sim)
    work_again(sim, *failed)
    await probes(ctx, clock, minutes=10)
    assert (await the_incident(ctx)).outcome is Outcome.DONE


async def test_one_that_can_not_be_seen_holds_up_no_other_for_long_and_is_not_told_blindly(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    still, hidden, *others = [grant_id for grant_id in failed if grant_id != canary]
    work_again(sim, *others, canary or "")
    at_nylas(sim, hidden).grant_status = "a status that we do not know"

    await probes(ctx, clock, minutes=5)
    assert (await the_incident(ctx)).settled_at is None
    assert await told_of(ctx, NoticeKind.EXPIRED) == set()
    await probes(ctx, clock, times=11)
    assert (await the_incident(ctx)).reason == "23 of 25 grants work again"
    assert await told_of(ctx, NoticeKind.EXPIRED) == {still}

    at_nylas(sim, hidden).grant_status = "invalid"
    await second_looks(ctx)
    clock.forward(minutes=5)
    await second_looks(ctx)
    assert await told_of(ctx, NoticeKind.EXPIRED) == {still, hidden}


async def test_when_the_secret_was_replaced_one_is_renewed_first_and_then_all_by_a_campaign(
    ctx: Context, sim: Running, clock: SetClock, rings: Rings, failed: list[str]
) -> None:
    await probes(ctx, clock)
    assert "can't be renewed" in ((await the_incident(ctx)).reason or "")
    sim.state.broken_credentials.discard(ACCOUNT)

    await probes(ctx, clock)
    incident = await the_incident(ctx)
    assert incident.until is not None
    assert (await the_grant(ctx, incident.canary or "")).status is GrantStatus.VALID
    campaign = await the_campaign(ctx, campaign_of(incident.id, incident.until))
    assert campaign.status is CampaignStatus.PLANNED
    await probes(ctx, clock, times=3)
    assert (await the_incident(ctx)).settled_at is None, "it waits for its campaign"

    [asked] = await unsettled(ctx, REAUTH_BULK_REQUESTED)
    await start_campaigns.run(ctx, [asked])
    while rings.heard:
        kind, ids = rings.heard.pop(0)
        if kind == REAUTH_REQUESTED:
            await reauthenticate.run(ctx, ids)
    assert (await the_campaign(ctx, campaign.id)).total == 24
    await probes(ctx, clock)
    assert (await the_incident(ctx)).reason == "25 of 25 grants work again"
    assert not [kind for kind in await goes_out(ctx) if kind.startswith("grant.")]


async def test_a_probe_that_dies_is_taken_over_wherever_it_was(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    still = [grant_id for grant_id in failed if grant_id != canary][:5]
    work_again(sim, *set(failed) - set(still))
    clock.forward(minutes=3)
    incident = await the_incident(ctx)
    async with ctx.database.writing() as session:  # it had seen the canary, some of the others, and died
        await claim(session, Incident, [incident.id], now=clock(), lease=ctx.lease)
        await session.execute(update(Incident).values(until=clock()))
        await session.execute(update(Grant).where(col(Grant.id) == still[0]).values(as_of=clock()))
    await probe.run(another_worker(ctx), [incident.id])
    assert (await the_incident(ctx)).settled_at is None, "it is still held"

    clock.forward(seconds=ctx.lease.total_seconds() + 1)
    await asyncio.gather(probe.run(ctx, [incident.id]), probe.run(another_worker(ctx), [incident.id]))

    assert len(await incidents(ctx)) == 1
    assert (await the_incident(ctx)).reason == "20 of 25 grants work again"
    assert (await goes_out(ctx))["incident.closed"] == 1
    clock.forward(minutes=2)
    await second_looks(ctx)
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(still)
    assert await held(ctx) == {}


async def test_what_an_incident_has_explained_does_not_open_another(
    ctx: Context, sim: Running, clock: SetClock, failed: list[str]
) -> None:
    canary = (await the_incident(ctx)).canary
    others = [grant_id for grant_id in failed if grant_id != canary]
    work_again(sim, canary or "", *others[:3])
    await probes(ctx, clock, minutes=2)
    assert (await the_incident(ctx)).reason == "4 of 25 grants work again"

    fresh = await known(ctx, sim, 2, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, *fresh)

    assert len(await incidents(ctx)) == 1
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(others[3:])
