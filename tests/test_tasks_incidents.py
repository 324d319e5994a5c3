"""One cause, one incident: grants that fail together are held back from their users, and the operator is told once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from lifecycle import GrantStatus, Policy
from lifecycle.incidents import Scope, Thresholds
from models import HeldBy, NoticeKind, Outcome
from models.kinds import GRANT_EXPIRED
from simulator import Running
from tasks.context import Context
from tasks.grant_hints import confirm_expiry
from tests.conftest import SetClock, another_worker
from tests.failing_together import (
    ACCOUNT,
    fail,
    goes_out,
    held,
    incidents,
    notices,
    second_looks,
    the_incident,
    told_of,
)
from tests.neighbours import neighbour
from tests.stories import all_grants, at_nylas, hints, known, outcomes


async def test_grants_of_one_credential_that_fail_together_are_one_incident_and_no_word_to_users(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(ctx, sim, 25, credential_id=ACCOUNT)
    await known(ctx, sim, 100)
    for start in range(0, 25, 5):
        clock.forward(minutes=1)
        await fail(ctx, sim, *ids[start : start + 5])
        await second_looks(ctx)

    incident = await the_incident(ctx)
    assert (incident.scope, incident.subject, incident.settled_at) == (Scope.CREDENTIAL, ACCOUNT, None)
    assert incident.canary in ids
    assert "grants of the credential service-account expired within 10 minutes" in incident.what
    assert await goes_out(ctx) == {"incident.opened": 1}
    [opened] = await notices(ctx, NoticeKind.INCIDENT_OPENED)
    assert (opened.grant_id, opened.incident_id, opened.data["subject"]) == (None, incident.id, ACCOUNT)
    assert {grant.status for id, grant in (await all_grants(ctx)).items() if id in ids} == {GrantStatus.EXPIRED}

    clock.forward(hours=5)
    await second_looks(ctx)
    assert await goes_out(ctx) == {"incident.opened": 1}
    assert (await held(ctx))[HeldBy.INCIDENT] >= 25


async def test_a_second_look_at_what_an_incident_explains_asks_nylas_nothing(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(ctx, sim, 20, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, *ids)
    clock.forward(minutes=2)
    before = sim.state.calls.total

    assert await second_looks(ctx) == 20

    assert sim.state.calls.total == before
    assert await held(ctx) == {HeldBy.INCIDENT: 20}
    clock.forward(hours=1)
    assert await second_looks(ctx) == 0, "they are settled"


async def test_a_few_that_fail_are_no_incident_and_their_users_are_told(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(ctx, sim, 100, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, *ids[:19])
    clock.forward(minutes=2)
    await second_looks(ctx)
    assert await incidents(ctx) == []
    assert await told_of(ctx, NoticeKind.EXPIRED) == set(ids[:19])
    assert await told_of(ctx, NoticeKind.REAUTH_REQUIRED) == set(ids[:19])


async def test_what_fails_slowly_is_no_incident(ctx: Context, sim: Running, clock: SetClock) -> None:
    ids = await known(ctx, sim, 100)
    for start in range(0, 36, 9):
        clock.forward(minutes=6)
        await fail(ctx, sim, *ids[start : start + 9])
    assert await incidents(ctx) == []


async def test_what_fails_in_another_application_is_no_sign_here(ctx: Context, sim: Running, clock: SetClock) -> None:
    theirs = await neighbour(ctx)
    ours, others = [await known(one, sim, 100, credential_id=ACCOUNT) for one in (ctx, theirs)]
    clock.forward(minutes=1)
    await fail(theirs, sim, *others[:19])
    await fail(ctx, sim, *ours[:19])
    assert await incidents(ctx) == []


async def test_a_share_of_a_small_cohort_is_enough(ctx: Context, sim: Running, clock: SetClock) -> None:
    ids = await known(ctx, sim, 16, credential_id=ACCOUNT)
    await known(ctx, sim, 50)
    clock.forward(minutes=1)
    await fail(ctx, sim, *ids[:5])
    assert (await the_incident(ctx)).subject == ACCOUNT


@pytest.mark.parametrize(
    ("failing", "scope", "subject"),
    [
        ([("google", "one", 25), ("google", None, 3)], Scope.CREDENTIAL, "one"),
        ([("google", "one", 8), ("google", "two", 8), ("google", None, 8)], Scope.CONNECTOR, "google"),
        ([("google", "one", 10), ("microsoft", "two", 10), ("imap", None, 4)], Scope.APPLICATION, None),
    ],
)
async def test_the_narrowest_thing_that_they_share_is_the_cause(
    ctx: Context,
    sim: Running,
    clock: SetClock,
    failing: list[tuple[str, str | None, int]],
    scope: Scope,
    subject: str | None,
) -> None:
    ids = []
    for provider, credential, number in failing:
        some = await known(ctx, sim, 50, provider=provider, credential_id=credential)
        ids += some[:number]
    clock.forward(minutes=1)

    await fail(ctx, sim, *ids)

    incident = await the_incident(ctx)
    assert (incident.scope, incident.subject) == (scope, subject or str(ctx.application_id))


async def test_what_was_told_of_before_stays_told_and_what_goes_its_own_way_is_not_held(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    first, *ids = await known(ctx, sim, 21, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, first)
    clock.forward(minutes=2)
    await second_looks(ctx)
    assert await told_of(ctx, NoticeKind.EXPIRED) == {first}
    clock.forward(minutes=30)

    await fail(ctx, sim, *ids)

    assert await told_of(ctx, NoticeKind.EXPIRED) == {first}, "it failed by itself, half an hour before"
    assert {one.grant_id for one in await notices(ctx, NoticeKind.EXPIRED) if one.held_by} == set(ids)


async def test_those_that_fail_later_join_the_incident_until_it_is_over(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(ctx, sim, 40, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, *ids[:20])
    for late in ids[20:25]:
        clock.forward(minutes=20)
        await fail(ctx, sim, late)
    clock.forward(hours=1)
    await second_looks(ctx)
    assert len(await incidents(ctx)) == 1
    assert await goes_out(ctx) == {"incident.opened": 1}
    assert await held(ctx) == {HeldBy.INCIDENT: 25}


async def test_what_was_seen_before_the_incident_and_is_written_down_after_it_is_held_as_well(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    """Of looks that go side by side, those that were asked for first may well come last."""
    ids = await known(ctx, sim, 25, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, *ids[:20])
    clock.forward(seconds=-1)
    await fail(ctx, sim, *ids[20:])

    assert await held(ctx) == {HeldBy.INCIDENT: 25}
    clock.forward(minutes=5)
    await second_looks(ctx)
    assert await goes_out(ctx) == {"incident.opened": 1}
    assert await held(ctx) == {HeldBy.INCIDENT: 25}


async def test_a_grant_that_recovers_meanwhile_has_what_was_held_withdrawn(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(ctx, sim, 20, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, *ids)
    clock.forward(minutes=1)
    sim.state.books.touch(at_nylas(sim, ids[0]))
    await confirm_expiry.run(ctx, await hints(ctx, GRANT_EXPIRED, ids[0]))
    [withdrawn] = [one for one in await notices(ctx, NoticeKind.EXPIRED) if one.grant_id == ids[0]]
    assert (withdrawn.outcome, withdrawn.reason) == (Outcome.SKIPPED, "it recovered before it was confirmed")
    assert await held(ctx) == {HeldBy.INCIDENT: 19}


async def test_those_that_were_dead_when_we_met_them_are_no_incident(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    await known(ctx, sim, 50, status="invalid", credential_id=ACCOUNT)
    [late] = await known(ctx, sim, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(ctx, sim, late)
    assert await incidents(ctx) == []


async def test_two_workers_that_see_it_at_once_open_one_incident_which_holds_all(
    ctx: Context, sim: Running, clock: SetClock
) -> None:
    ids = await known(ctx, sim, 40, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    for grant_id in ids:
        at_nylas(sim, grant_id).grant_status = "invalid"
    mine, yours = await hints(ctx, GRANT_EXPIRED, *ids[:20]), await hints(ctx, GRANT_EXPIRED, *ids[20:])

    await asyncio.gather(confirm_expiry.run(ctx, mine), confirm_expiry.run(another_worker(ctx), yours))

    assert await outcomes(ctx, [*mine, *yours]) == [Outcome.DONE] * 40
    assert (await the_incident(ctx)).scope is Scope.CREDENTIAL
    clock.forward(minutes=5)
    await second_looks(ctx)
    assert await goes_out(ctx) == {"incident.opened": 1}
    assert await held(ctx) == {HeldBy.INCIDENT: 40}


async def test_the_thresholds_are_what_the_policy_says(ctx: Context, sim: Running, clock: SetClock) -> None:
    narrow = replace(ctx, policy=Policy(thresholds=Thresholds(number=3, window=timedelta(minutes=1))))
    ids = await known(ctx, sim, 100, credential_id=ACCOUNT)
    clock.forward(minutes=1)
    await fail(narrow, sim, *ids[:2])
    clock.forward(minutes=2)
    await fail(narrow, sim, ids[2])
    assert await incidents(ctx) == []
    await fail(narrow, sim, *ids[3:5])
    assert (await the_incident(ctx)).what == "3 grants of the credential service-account expired within 1 minutes"
