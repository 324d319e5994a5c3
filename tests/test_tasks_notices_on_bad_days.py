"""Notices on bad days: the product was away while a link ran out or a grant came back, and workers meet each other."""

import asyncio
from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col

from lifecycle import GrantStatus
from models import Grant, Notice, NoticeKind, Outcome
from models.bulk import read_grants
from models.kinds import GRANT_EXPIRED, GRANT_UPDATED, NOTICE_DUE
from simulator import Running
from tasks.context import Context
from tests.conftest import Rings, SetClock, another_worker
from tests.receiving import TASKS, Product, a_notice, deliveries, notices, product, reach, told_at, work
from tests.stories import at_nylas, hint, known

__all__ = ["product", "reach"]


async def expired(ctx: Context, sim: Running, rings: Rings, clock: SetClock) -> str:
    """Let a grant expire, and be confirmed."""
    [grant_id] = await known(ctx, sim)
    clock.forward(minutes=1)
    at_nylas(sim, grant_id).grant_status = "invalid"
    await hint(ctx, GRANT_EXPIRED, grant_id)
    await work(ctx, rings)
    clock.forward(minutes=3)
    await work(ctx, rings)
    return grant_id


async def test_a_link_that_ran_out_while_the_product_was_away_is_replaced(
    reach: Context, sim: Running, rings: Rings, clock: SetClock, product: Product
) -> None:
    await told_at(reach, product, "grant.reauth_required")
    product.always = 503
    await expired(reach, sim, rings, clock)
    clock.forward(hours=23)
    await work(reach, rings)
    product.always = 200
    clock.forward(minutes=70)
    await work(reach, rings)
    first = product.of("grant.reauth_required")[0]
    assert first["attempt"] == 1
    assert first["expires_at"] == (clock() + timedelta(hours=24)).isoformat()


async def test_nobody_is_asked_to_come_back_who_came_back_while_the_product_was_away(
    reach: Context, sim: Running, rings: Rings, clock: SetClock, product: Product
) -> None:
    await told_at(reach, product, "grant.expired", "grant.reauth_required", "grant.recovered")
    product.always = 503
    grant_id = await expired(reach, sim, rings, clock)
    at_nylas(sim, grant_id).grant_status = "valid"
    await hint(reach, GRANT_UPDATED, grant_id)
    await work(reach, rings)
    product.always = 200
    for _ in range(3):
        clock.forward(hours=1)
        await work(reach, rings)
    assert product.kinds == ["grant.expired", "grant.recovered"]
    ended = {row.outcome: row.reason for row in await deliveries(reach)}
    assert ended == {Outcome.DONE: None, Outcome.SKIPPED: "the grant is valid, since before this could be delivered"}


async def test_where_no_user_can_sign_in_the_product_is_told_so_instead_of_a_link(
    reach: Context, sim: Running, rings: Rings, clock: SetClock, product: Product
) -> None:
    await told_at(reach, product, "grant.reauth_required")
    [grant_id] = await known(reach, sim)
    async with reach.database.writing() as session:
        grant = await session.get_one(Grant, grant_id)
        grant.provider, grant.status = "virtual-calendar", GrantStatus.EXPIRED
        grant.expired_at = grant.expiry_seen_at = grant.confirm_at = grant.confirmed_at = clock()
    await a_notice(reach, NoticeKind.REAUTH_REQUIRED, grant_id=grant_id, seq=7)
    await work(reach, rings)
    [told] = product.of("grant.reauth_required")
    assert (told["link"], told["attempt"]) == (None, 1)
    assert "nobody signs in at the provider" in told["no_link"]


async def test_who_tells_and_who_looks_take_their_locks_in_one_order(
    reach: Context, sim: Running, rings: Rings, product: Product
) -> None:
    """A look holds the grant and withdraws its notice, while the worker that is to tell it waits for the grant."""
    [grant_id] = await known(reach, sim)
    await work(reach, rings)
    await told_at(reach, product)
    notice = await a_notice(reach, NoticeKind.RECOVERED, grant_id=grant_id, seq=7)
    async with reach.database.writing() as session:
        await read_grants(session, [grant_id], to_change=True)
        telling = asyncio.create_task(TASKS[NOTICE_DUE](another_worker(reach), [notice.id]))
        await asyncio.wait([telling], timeout=0.5)  # it has claimed the notice by now, where it could
        withdrawn = update(Notice).where(col(Notice.id) == notice.id)
        await session.execute(withdrawn.values(settled_at=reach.now(), outcome=Outcome.SKIPPED, reason="withdrawn"))
    await telling
    [row] = [row for row in await notices(reach, grant_id) if row.seq == 7]
    assert (row.outcome, row.reason, row.crashes) == (Outcome.SKIPPED, "withdrawn", 0)
    await work(reach, rings)
    assert "grant.recovered" not in product.kinds
