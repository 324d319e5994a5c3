"""Notices: what is sure is told once, with the way back and in order; what is held, or not so any more, is not."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from lifecycle import Policy
from lifecycle.brake import Braked, BrakeLimits
from lifecycle.reminding import QuietHours
from models import Grant, HeldBy, Notice, NoticeKind, Outcome
from models.claims import postpone
from models.kinds import GRANT_EXPIRED, GRANT_RECHECK, GRANT_UPDATED, NOTICE_DUE
from simulator import Running
from tasks.brakes import is_on
from tasks.context import Context
from tasks.links import read
from tests.conftest import Rings, SetClock
from tests.receiving import TASKS, Product, a_notice, deliveries, notices, product, reach, told_at, work
from tests.stories import at_nylas, hint, known, the_grant
from worker.sweeper import sweep

__all__ = ["product", "reach"]

DAY = timedelta(days=1)


async def expired(ctx: Context, sim: Running, rings: Rings, clock: SetClock) -> str:
    """Let a grant expire, and Nylas say so; return its id. Nobody is told of its first days."""
    [grant_id] = await known(ctx, sim)
    await work(ctx, rings)
    clock.forward(minutes=1)
    at_nylas(sim, grant_id).grant_status = "invalid"
    await hint(ctx, GRANT_EXPIRED, grant_id)
    await work(ctx, rings)
    return grant_id


async def renewed(ctx: Context, sim: Running, rings: Rings, grant_id: str) -> None:
    """Let the grant work again, and Nylas say so."""
    at_nylas(sim, grant_id).grant_status = "valid"
    await hint(ctx, GRANT_UPDATED, grant_id)
    await work(ctx, rings)


async def test_nobody_is_told_before_the_second_look_and_then_in_order_with_the_way_back(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    grant_id = await expired(reach, sim, rings, clock)
    await told_at(reach, product)
    clock.forward(seconds=119)
    await work(reach, rings)
    assert product.calls == []

    clock.forward(seconds=2)
    await work(reach, rings)

    assert product.kinds == ["grant.expired", "grant.reauth_required"]
    [told], [asked] = product.of("grant.expired"), product.of("grant.reauth_required")
    grant = await the_grant(reach, grant_id)
    assert told["grant_id"] == asked["grant_id"] == grant_id
    assert (told["status"], told["email"], told["provider"]) == ("expired", grant.email, "google")
    assert told["sequence"] < asked["sequence"]
    assert grant.expired_at
    assert asked["attempt"] == 1
    assert asked["deadline"] == (grant.expired_at + timedelta(hours=72)).isoformat()
    assert asked["expires_at"] == (clock() + timedelta(hours=24)).isoformat()
    async with reach.database.reading() as session:
        link = await read(reach, session, asked["link"].rpartition("/")[2])
    assert link
    assert (link.grant_id, link.expires_at, link.created_by) == (grant_id, clock() + DAY, "grant.reauth_required")


async def test_the_address_of_a_link_is_not_kept_in_the_tables(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    await told_at(reach, product)
    grant_id = await expired(reach, sim, rings, clock)
    clock.forward(minutes=3)
    await work(reach, rings)
    token = product.of("grant.reauth_required")[0]["link"].rpartition("/")[2]
    assert token not in str([notice.model_dump() for notice in await notices(reach, grant_id)])


async def test_a_grant_that_recovers_within_the_grace_is_never_told_of(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    grant_id = await expired(reach, sim, rings, clock)
    await told_at(reach, product)
    clock.forward(seconds=60)
    await renewed(reach, sim, rings, grant_id)
    clock.forward(days=20)
    await work(reach, rings)
    assert product.calls == []


async def test_reminders_come_on_their_days_and_at_the_end_the_operator_is_told(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    await told_at(reach, product, "grant.reauth_required", "grant.unattended")
    grant_id = await expired(reach, sim, rings, clock)
    clock.forward(minutes=3)
    on = {}
    for day in range(17):
        before = len(product.took)
        await work(reach, rings)
        on[day] = [(event["type"], event["data"].get("attempt")) for event in product.took[before:]]
        clock.forward(days=1)
    asked = "grant.reauth_required"
    assert {day: told for day, told in on.items() if told} == {
        0: [(asked, 1)],
        1: [(asked, 2)],
        3: [(asked, 3)],
        7: [(asked, 4)],
        14: [(asked, 5)],
        15: [("grant.unattended", None)],
    }
    assert len({told["link"] for told in product.of(asked)}) == 5
    assert [notice for notice in await notices(reach, grant_id) if notice.settled_at is None] == []


async def test_reminders_stop_when_the_user_is_back(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    await told_at(reach, product)
    grant_id = await expired(reach, sim, rings, clock)
    clock.forward(minutes=3)
    await work(reach, rings)
    clock.forward(hours=30)
    await work(reach, rings)
    await renewed(reach, sim, rings, grant_id)
    clock.forward(days=30)
    await work(reach, rings)
    assert product.kinds[-1] == "grant.recovered"
    assert len(product.of("grant.reauth_required")) == 2
    assert {(row.kind, row.reason) for row in await notices(reach, grant_id) if row.outcome is Outcome.SKIPPED} == {
        (NoticeKind.REAUTH_REQUIRED, "it recovered")
    }


async def test_reminders_that_were_missed_do_not_come_in_a_bunch(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    """No worker ran for five days, or an incident held the first one back for so long."""
    await told_at(reach, product, "grant.reauth_required")
    await expired(reach, sim, rings, clock)
    clock.forward(minutes=2, seconds=1)
    await sweep_looks_only(reach, rings)
    clock.forward(days=5)
    await work(reach, rings)
    assert [told["attempt"] for told in product.of("grant.reauth_required")] == [1]
    clock.forward(days=2)
    await work(reach, rings)
    assert [told["attempt"] for told in product.of("grant.reauth_required")] == [1, 4]


async def sweep_looks_only(ctx: Context, rings: Rings) -> None:
    """Let the second looks be made, and no notice go."""
    await sweep(ctx)
    for kind, ids in rings.heard:
        if kind == GRANT_RECHECK:
            await TASKS[kind](ctx, ids)
    rings.heard = []


async def test_nobody_is_reminded_in_quiet_hours(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    quiet = replace(reach, policy=Policy(quiet=QuietHours(time(22), time(7)), zone="Europe/Berlin"))
    clock.time = datetime(2026, 1, 15, 22, 30, tzinfo=UTC)  # 23:30 in Berlin
    await told_at(quiet, product, "grant.expired", "grant.reauth_required")
    await expired(quiet, sim, rings, clock)
    clock.forward(minutes=3)
    await work(quiet, rings)
    assert product.kinds == ["grant.expired"]
    clock.time = datetime(2026, 1, 16, 5, 59, tzinfo=UTC)
    await work(quiet, rings)
    assert product.kinds == ["grant.expired"]
    clock.forward(minutes=2)
    await work(quiet, rings)
    assert product.kinds == ["grant.expired", "grant.reauth_required"]


async def test_a_notice_that_nobody_wants_says_why_it_was_not_sent(
    reach: Context, rings: Rings, product: Product
) -> None:
    await a_notice(reach, NoticeKind.INCIDENT_OPENED)
    await work(reach, rings)
    await told_at(reach, product, "grant.expired")
    await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    await work(reach, rings)
    assert [(notice.outcome, notice.reason) for notice in await notices(reach)] == [
        (Outcome.SKIPPED, "no endpoint is set up"),
        (Outcome.SKIPPED, "no endpoint wants incident.closed"),
    ]
    assert product.calls == []


@pytest.mark.parametrize("held_by", HeldBy)
async def test_what_is_held_does_not_go(reach: Context, rings: Rings, product: Product, held_by: HeldBy) -> None:
    await told_at(reach, product)
    notice = await a_notice(reach, NoticeKind.CAMPAIGN_FINISHED, held_by=held_by)
    await work(reach, rings)
    await TASKS[NOTICE_DUE](reach, [notice.id])  # even if somebody rings for it
    await work(reach, rings)
    [row] = await notices(reach)
    assert (row.settled_at, row.held_by, row.lease_until) == (None, held_by, None)
    assert product.calls == []


async def test_too_many_notices_within_an_hour_put_the_brake_on(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    braked = replace(reach, policy=Policy(limits=BrakeLimits(notices=3)))
    ids = await known(reach, sim, 5)
    await work(reach, rings)
    clock.forward(hours=2)
    await told_at(braked, product)
    for grant_id in ids:
        await a_notice(braked, NoticeKind.RECOVERED, grant_id=grant_id, seq=7)
    await work(braked, rings)
    assert sorted(product.kinds) == ["grant.recovered"] * 3 + ["incident.opened"]
    async with braked.database.reading() as session:
        assert await is_on(session, braked, Braked.NOTICES)
    held = [notice for notice in await notices(braked) if notice.settled_at is None]
    assert [notice.held_by for notice in held] == [HeldBy.BRAKE] * 2
    await work(braked, rings)
    assert len(product.took) == 4


async def test_a_grant_in_quarantine_is_not_told_of(
    reach: Context, sim: Running, rings: Rings, product: Product
) -> None:
    await told_at(reach, product)
    [grant_id] = await known(reach, sim)
    await work(reach, rings)
    async with reach.database.writing() as session:
        (await session.get_one(Grant, grant_id)).quarantined = "another account came back"
    notice = await a_notice(reach, NoticeKind.RECOVERED, grant_id=grant_id, seq=7)
    await work(reach, rings)
    [row] = [row for row in await notices(reach, grant_id) if row.id == notice.id]
    assert (row.settled_at, row.held_by) == (None, HeldBy.QUARANTINE)
    assert "grant.recovered" not in product.kinds


async def test_an_expiry_that_is_not_so_any_more_is_not_told(
    reach: Context, sim: Running, rings: Rings, product: Product
) -> None:
    await told_at(reach, product, "grant.expired", "grant.reauth_required")
    [grant_id] = await known(reach, sim)
    await work(reach, rings)
    await a_notice(reach, NoticeKind.EXPIRED, grant_id=grant_id, seq=7)
    await work(reach, rings)
    assert [(row.kind, row.reason) for row in await notices(reach, grant_id) if row.seq == 7] == [
        (NoticeKind.EXPIRED, "the grant is valid")
    ]
    assert product.calls == []


async def two_notices(reach: Context, sim: Running, rings: Rings, product: Product) -> tuple[Notice, Notice]:
    """Write two notices about one grant, of which all before was told; return them, the earlier one first."""
    await told_at(reach, product)
    [grant_id] = await known(reach, sim)
    await work(reach, rings)
    product.took.clear()
    first = await a_notice(reach, NoticeKind.RECOVERED, grant_id=grant_id, seq=7)
    return first, await a_notice(reach, NoticeKind.GAP, grant_id=grant_id, seq=8)


async def test_a_notice_waits_for_an_earlier_one_that_is_due_as_well(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    """Two workers, each with one of them: the later one is let go again."""
    first, later = await two_notices(reach, sim, rings, product)
    await TASKS[NOTICE_DUE](reach, [later.id])
    assert [row for row in await deliveries(reach) if row.notice_id == later.id] == []
    await TASKS[NOTICE_DUE](reach, [first.id])
    clock.forward(seconds=2)
    await work(reach, rings)
    assert product.kinds == ["grant.recovered", "grant.gap"]


async def test_a_notice_waits_for_an_earlier_one_that_failed_and_is_tried_again_later(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    first, later = await two_notices(reach, sim, rings, product)
    async with reach.database.writing() as session:
        postpone(
            await session.get_one(Notice, first.id),
            until=clock() + timedelta(seconds=4),
            reason="the database was away",
        )
    for _ in range(3):
        await TASKS[NOTICE_DUE](reach, [later.id])
        clock.forward(seconds=1)
    assert product.kinds == []
    clock.forward(seconds=2)
    await work(reach, rings)
    assert product.kinds == ["grant.recovered", "grant.gap"]
