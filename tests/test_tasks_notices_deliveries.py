"""Deliveries: signed, at least once, in order for each grant; each endpoint fails for itself, and for three days."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from models import Delivery, NoticeKind, Outcome
from models.claims import claim
from models.kinds import DELIVERY_DUE, NOTICE_DUE
from simulator import Running
from tasks.context import Context
from tasks.notices.endpoints import remove
from tasks.notices.secrets import new_secret
from tasks.notices.sending import Matter, attempt
from tests.conftest import Rings, SetClock, another_worker
from tests.receiving import (
    TASKS,
    Product,
    a_notice,
    a_product,
    deliveries,
    notices,
    product,
    reaching,
    the_endpoint,
    told_at,
    work,
)
from tests.stories import known

__all__ = ["product"]


@pytest.fixture
async def other() -> AsyncIterator[Product]:
    """Another one."""
    async with a_product() as product:
        yield product


@pytest.fixture
async def reach(ctx: Context) -> AsyncIterator[Context]:
    """A worker that may send to this machine, and waits half a second for an answer."""
    async with reaching(ctx, timeout=timedelta(seconds=0.5)) as reach:
        yield reach


async def two_grants(ctx: Context, sim: Running, rings: Rings) -> list[str]:
    """Two grants of which nothing is left to tell."""
    ids = await known(ctx, sim, 2)
    await work(ctx, rings)
    return ids


async def test_a_notice_has_one_body_and_one_id_wherever_it_goes(
    reach: Context, rings: Rings, product: Product, other: Product
) -> None:
    await told_at(reach, product)
    await told_at(reach, other)
    notice = await a_notice(reach, NoticeKind.CAMPAIGN_FINISHED, data={"total": 3, "who": "Ä"})
    await work(reach, rings)
    assert (
        product.took
        == other.took
        == [
            {
                "type": "campaign.finished",
                "timestamp": reach.now().isoformat(),
                "data": {"total": 3, "who": "Ä"},
                "id": str(notice.id),
            }
        ]
    )
    assert {(row.outcome, row.http_status, row.attempts) for row in await deliveries(reach)} == {(Outcome.DONE, 200, 1)}


async def test_while_a_secret_is_replaced_both_sign(reach: Context, rings: Rings, product: Product) -> None:
    old = product.secret
    product.secret = f"{new_secret()},{old}"
    await told_at(reach, product)
    for secret in product.secret.split(","):
        product.secret = secret
        await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
        await work(reach, rings)
    assert len(product.took) == 2


async def test_a_later_notice_about_a_grant_waits_for_an_earlier_one_and_other_grants_do_not(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    [one, another] = await two_grants(reach, sim, rings)
    await told_at(reach, product)
    product.by_kind["grant.recovered"] = 422
    await a_notice(reach, NoticeKind.RECOVERED, grant_id=one, seq=7)
    await a_notice(reach, NoticeKind.GAP, grant_id=one, seq=8)
    await a_notice(reach, NoticeKind.GAP, grant_id=another, seq=9)
    await work(reach, rings)
    assert [told["sequence"] for told in product.of("grant.gap")] == [9]

    product.by_kind.clear()
    clock.forward(seconds=10)
    await work(reach, rings)
    assert [(event["type"], event["data"]["sequence"]) for event in product.took[1:]] == [
        ("grant.recovered", 7),
        ("grant.gap", 8),
    ]


async def test_a_message_that_came_too_early_does_not_break_the_order(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    [grant_id, _] = await two_grants(reach, sim, rings)
    await told_at(reach, product)
    product.by_kind["grant.recovered"] = 422
    await a_notice(reach, NoticeKind.RECOVERED, grant_id=grant_id, seq=7)
    await a_notice(reach, NoticeKind.GAP, grant_id=grant_id, seq=8)
    await work(reach, rings)
    await TASKS[DELIVERY_DUE](reach, [row.id for row in await deliveries(reach) if row.seq == 8])
    assert product.of("grant.gap") == []
    assert [(row.seq, row.attempts, row.settled_at) for row in await deliveries(reach)] == [(7, 1, None), (8, 0, None)]


async def test_what_is_refused_is_tried_for_three_days_then_set_aside_and_blocks_no_more(
    reach: Context, sim: Running, clock: SetClock, rings: Rings, product: Product
) -> None:
    [grant_id, _] = await two_grants(reach, sim, rings)
    await told_at(reach, product)
    product.by_kind["grant.recovered"] = 400
    await a_notice(reach, NoticeKind.RECOVERED, grant_id=grant_id, seq=7)
    await a_notice(reach, NoticeKind.GAP, grant_id=grant_id, seq=8)
    for days in (0, 1, 1, 0.99):
        clock.forward(days=days)
        await work(reach, rings)
        first, second = await deliveries(reach)
        assert (first.settled_at, second.attempts) == (None, 0), "the later one waits, and is not tried"
        assert first.due_at <= clock() + timedelta(minutes=30)
    clock.forward(hours=1)
    await work(reach, rings)
    first, second = await deliveries(reach)
    given_up = "given up after 3 days: it answered 400"
    assert (first.outcome, first.reason, first.http_status, first.attempts) == (Outcome.SET_ASIDE, given_up, 400, 5)
    assert product.kinds == ["grant.gap"]
    assert (second.outcome, second.attempts) == (Outcome.DONE, 1)


async def test_an_endpoint_that_hangs_keeps_no_other_waiting(
    ctx: Context, rings: Rings, product: Product, other: Product
) -> None:
    """The other one has two seconds to answer: with half of one it was in trouble itself when the machine paused."""
    async with reaching(ctx) as reach:
        slow = await told_at(reach, product)
        await told_at(reach, other)
        product.hangs = True
        for _ in range(30):
            await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
        working = asyncio.create_task(work(reach, rings))
        await other.has_taken(30)
        assert product.took == []
        assert [row.settled_at for row in await deliveries(reach, slow)] == [None] * 30
        await working


async def test_an_endpoint_in_trouble_rests_and_is_then_tried_with_one_delivery(
    reach: Context, clock: SetClock, rings: Rings, product: Product
) -> None:
    endpoint = await told_at(reach, product)
    product.always = 503
    for _ in range(30):
        await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    await work(reach, rings)
    assert len(product.calls) <= 8, "it stopped where the trouble showed"
    row = await the_endpoint(reach, endpoint)
    assert (row.failing_since, row.last_error) == (clock(), "it answered 503")
    assert row.rests_until == clock() + timedelta(seconds=5)
    for _ in range(5):
        product.calls.clear()
        await work(reach, rings)
        assert product.calls == []
        clock.time = (await the_endpoint(reach, endpoint)).rests_until or clock()
        clock.forward(seconds=1)
        await work(reach, rings)
        assert len(product.calls) == 1

    product.always = 200
    clock.forward(minutes=40)
    await work(reach, rings)
    assert len(product.took) == 30
    row = await the_endpoint(reach, endpoint)
    assert (row.failing_since, row.rests_until, row.last_error) == (None, None, None)


async def test_what_waited_three_days_for_a_dead_endpoint_is_set_aside_together(
    reach: Context, clock: SetClock, rings: Rings, product: Product
) -> None:
    await told_at(reach, product)
    product.always = 500
    for _ in range(20):
        await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    await work(reach, rings)
    clock.forward(days=2)
    await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    await work(reach, rings)
    clock.forward(days=1, hours=1)
    await work(reach, rings)
    ended = [(row.outcome, row.reason) for row in await deliveries(reach)]
    assert ended.count((Outcome.SET_ASIDE, "given up after 3 days: it answered 500")) == 20
    assert [outcome for outcome, _ in ended].count(None) == 1


async def test_an_endpoint_is_left_alone_for_as_long_as_it_asks(
    reach: Context, clock: SetClock, rings: Rings, product: Product
) -> None:
    endpoint = await told_at(reach, product)
    product.answers, product.headers = [429], {"Retry-After": "900"}
    await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    await work(reach, rings)
    assert (await the_endpoint(reach, endpoint)).rests_until == clock() + timedelta(seconds=900)


async def test_an_endpoint_that_is_gone_is_told_nothing_more(
    reach: Context, rings: Rings, product: Product, clock: SetClock
) -> None:
    endpoint = await told_at(reach, product)
    product.always = 410
    for _ in range(30):
        await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    await work(reach, rings)
    row = await the_endpoint(reach, endpoint)
    assert (row.removed_at, row.last_error) == (clock(), "it answered 410")
    assert {row.outcome for row in await deliveries(reach)} == {Outcome.CANCELLED}
    called = len(product.calls)
    await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    clock.forward(hours=1)
    await work(reach, rings)
    assert len(product.calls) == called <= 8
    assert (await notices(reach))[-1].reason == "no endpoint is set up"


async def test_what_was_on_its_way_to_an_endpoint_that_was_removed_is_cancelled(
    reach: Context, rings: Rings, product: Product, clock: SetClock
) -> None:
    endpoint = await told_at(reach, product)
    product.answers = [500]
    await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    await work(reach, rings)
    assert await remove(reach, endpoint.id, why="an admin removed it") == 1
    clock.forward(hours=1)
    await work(reach, rings)
    [row] = await deliveries(reach)
    assert (row.outcome, row.reason, len(product.calls)) == (Outcome.CANCELLED, "an admin removed it", 1)


async def test_a_worker_that_dies_between_sending_and_marking_sends_twice_with_one_id(
    reach: Context, rings: Rings, product: Product, clock: SetClock
) -> None:
    endpoint = await told_at(reach, product)
    notice = await a_notice(reach, NoticeKind.INCIDENT_CLOSED)
    async with reaching(another_worker(reach)) as doomed:
        await TASKS[NOTICE_DUE](replace(doomed, ring=lambda _kind, _ids: None), [notice.id])
        [row] = await deliveries(reach)
        async with doomed.database.writing() as session:
            await claim(session, Delivery, [row.id], now=clock(), lease=doomed.lease)
        assert (await attempt(doomed, Matter(notice, None), endpoint)).status == 200

    clock.forward(seconds=10)
    await work(reach, rings)
    assert len(product.took) == 1, "its lease holds"
    clock.forward(seconds=10)
    await work(reach, rings)
    assert [event["id"] for event in product.took] == [str(notice.id)] * 2
    assert product.took[0] == product.took[1]
    [row] = await deliveries(reach)
    assert (row.outcome, row.attempts, row.crashes) == (Outcome.DONE, 2, 1)
