"""Deliveries are due: send each notice to its endpoint, at least once, and settle it by what the endpoint says."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle.patience import PATIENCE, pause
from models import Delivery, DeliveryData, Endpoint, GrantData, Notice, NoticeData, Outcome
from models.among import among_given
from models.bulk import GRANTS, write_changes
from models.claims import close, postpone
from models.kinds import DELIVERY_DUE
from models.row import table_of
from tasks.claiming import Claim, claimed
from tasks.context import Context
from tasks.notices.endpoints import give_up, remove
from tasks.notices.ringing import first_in_line, ring_deliveries
from tasks.notices.sending import Attempt, End, Matter, attempt

log = structlog.get_logger()

AT_ONCE = 8
NOTICES = table_of(Notice)
UNTRIED = Attempt(End.UNTRIED)

Results = Sequence[tuple[DeliveryData, Attempt]]


@shared_task(name=DELIVERY_DUE)
async def deliver(ctx: Context, delivery_ids: Sequence[UUID]) -> None:
    """Send what is due, to each endpoint by itself: one that is slow or dead keeps no other waiting."""
    by_endpoint = await _by_endpoint(ctx, delivery_ids)
    ends = await asyncio.gather(
        *(_deliver_to(ctx, endpoint, ids) for endpoint, ids in by_endpoint), return_exceptions=True
    )
    for end in ends:
        if isinstance(end, BaseException):
            raise end


async def _by_endpoint(ctx: Context, ids: Sequence[UUID]) -> list[tuple[Endpoint, list[UUID]]]:
    found: dict[UUID, tuple[Endpoint, list[UUID]]] = {}
    async with ctx.database.reading() as session:
        for endpoint, delivery_id in await session.execute(_endpoints_of(), {"ids": list(ids)}):
            found.setdefault(endpoint.id, (endpoint, []))[1].append(delivery_id)
    return list(found.values())


@cache
def _endpoints_of() -> Select[Endpoint, UUID]:
    """Made once: see models.bulk."""
    wanted = select(Endpoint, col(Delivery.id)).join(Delivery, col(Delivery.endpoint_id) == col(Endpoint.id))
    return wanted.where(among_given(col(Delivery.id), "ids")).order_by(col(Delivery.id))


async def _deliver_to(ctx: Context, endpoint: Endpoint, ids: Sequence[UUID]) -> None:
    """Send to one endpoint, if it is not resting, and if nobody else in this process is at it.

    What is let lie stays due, and is rung for when the one at work is done, or the rest is over.
    """
    if endpoint.id in ctx.outbound.busy or (endpoint.rests_until and endpoint.rests_until > ctx.now()):
        return
    if endpoint.failing_since:
        ids = ids[:1]
    ctx.outbound.busy.add(endpoint.id)
    try:
        async with claimed(ctx, DeliveryData, ids) as claim:
            if endpoint.removed_at:
                await _cancel(claim)
            elif claim.rows:
                await _send_all(claim, endpoint)
    finally:
        ctx.outbound.busy.discard(endpoint.id)
    await ring_deliveries(ctx, endpoint.id)


async def _cancel(claim: Claim[DeliveryData]) -> None:
    async with claim.settling() as (_session, rows):
        for row in rows:
            close(row, Outcome.CANCELLED, now=claim.ctx.now(), reason="the endpoint was removed")


async def _send_all(claim: Claim[DeliveryData], endpoint: Endpoint) -> None:
    """Send side by side, a few at once, and stop where the endpoint shows that it is in trouble."""
    ctx = claim.ctx
    matters = await _read(ctx, claim.rows)
    results: asyncio.Queue[tuple[DeliveryData, Attempt]] = asyncio.Queue()
    gate, trouble = asyncio.Semaphore(AT_ONCE), asyncio.Event()

    async def one(row: DeliveryData) -> None:
        async with gate:
            held_back = trouble.is_set() or row.id not in matters
            result = UNTRIED if held_back else await attempt(ctx, matters[row.id], endpoint)
            if result.end in (End.TROUBLE, End.GONE):
                trouble.set()
        results.put_nowait((row, result))

    async with asyncio.TaskGroup() as group:
        settling = group.create_task(_settle_as_they_come(claim, endpoint, results))
        for row in claim.rows:
            group.create_task(one(row))
    await _see_to(ctx, endpoint, settling.result())


async def _read(ctx: Context, rows: Sequence[DeliveryData]) -> Mapping[UUID, Matter]:
    """Read at once what the deliveries are about, of those that no earlier one goes before."""
    async with ctx.database.reading() as session:
        found = await session.execute(_matters(), {"ids": [row.id for row in rows]})
        return {row[0]: _matter(row) for row in found}


def _matter(row: Row[*tuple[Any, ...]]) -> Matter:
    notice = dict(zip(NOTICES.c.keys(), row[1 : 1 + len(NOTICES.c)], strict=True))
    grant = dict(zip(GRANTS.c.keys(), row[1 + len(NOTICES.c) :], strict=True))
    return Matter(NoticeData.read(notice), GrantData.read(grant) if grant["id"] else None)


@cache
def _matters() -> Select[*tuple[Any, ...]]:
    """Made once: see models.bulk."""
    told = select(col(Delivery.id), *NOTICES.c, *GRANTS.c).join(NOTICES, col(Delivery.notice_id) == NOTICES.c.id)
    of_grants = told.join(GRANTS, NOTICES.c.grant_id == GRANTS.c.id, isouter=True)
    return of_grants.where(among_given(col(Delivery.id), "ids"), first_in_line())


async def _settle_as_they_come(
    claim: Claim[DeliveryData], endpoint: Endpoint, results: asyncio.Queue[tuple[DeliveryData, Attempt]]
) -> Attempt | None:
    """Commit what has come since the last commit, again and again; return what troubles the endpoint, if anything."""
    left, worst = len(claim.rows), None
    while left:
        batch = [await results.get()]
        while not results.empty():
            batch.append(results.get_nowait())
        left -= len(batch)
        await _settle(claim, endpoint, batch)
        worst = next((result for _, result in batch if result.end in (End.TROUBLE, End.GONE)), worst)
    return worst


async def _settle(claim: Claim[DeliveryData], endpoint: Endpoint, batch: Results) -> None:
    ctx, now = claim.ctx, claim.ctx.now()
    results: Mapping[UUID, Attempt] = {row.id: result for row, result in batch}
    async with claim.settling([row for row, _ in batch]) as (session, rows):
        for row in rows:
            _settle_one(row, results[row.id], now=now, chance=ctx.chance())
        await write_changes(session, rows)
        await _note(ctx, session, endpoint, [result for _, result in batch], now=now)


def _settle_one(row: DeliveryData, result: Attempt, *, now: datetime, chance: float) -> None:
    row.http_status = result.status or row.http_status
    tried_for = now - (row.since or now)
    match result.end:
        case End.TAKEN:
            close(row, Outcome.DONE, now=now)
        case End.POINTLESS:
            close(row, Outcome.SKIPPED, now=now, reason=result.reason)
        case End.GONE:
            close(row, Outcome.CANCELLED, now=now, reason=result.reason)
        case End.HOPELESS:
            close(row, Outcome.SET_ASIDE, now=now, reason=result.reason)
        case End.UNTRIED:
            row.attempts -= 1
            postpone(row, until=row.due_at, reason=row.reason or "another one goes first")
        case _ if tried_for >= PATIENCE:
            close(row, Outcome.SET_ASIDE, now=now, reason=in_vain(result))
        case _:
            wait = pause(tried_for, chance=chance, told=result.retry_after)
            postpone(row, until=now + wait, reason=result.reason or "")


def in_vain(result: Attempt) -> str:
    """Say in words that a delivery was given up."""
    return f"given up after {PATIENCE.days} days: {result.reason}"


async def _note(
    ctx: Context, session: AsyncSession, endpoint: Endpoint, results: Sequence[Attempt], *, now: datetime
) -> None:
    """Write down that an endpoint is in trouble, and for how long it rests; or that it takes notices again."""
    worst = next((result for result in results if result.end is End.TROUBLE), None)
    works = any(result.end in (End.TAKEN, End.REFUSED) for result in results)
    if not worst and not (works and endpoint.failing_since):
        return
    row = await session.get_one(Endpoint, endpoint.id, with_for_update=True, populate_existing=True)
    if worst:
        if row.failing_since is None:
            log.warning("endpoint.failing", endpoint_id=str(row.id), reason=worst.reason)
        row.failing_since, row.last_error = row.failing_since or now, worst.reason
        row.rests_until = now + pause(now - row.failing_since, chance=ctx.chance(), told=worst.retry_after)
    elif row.failing_since:
        log.info("endpoint.takes_again", endpoint_id=str(row.id), after=str(now - row.failing_since))
        row.failing_since = row.rests_until = row.last_error = None


async def _see_to(ctx: Context, endpoint: Endpoint, worst: Attempt | None) -> None:
    """After the others have ended: end what waits for an endpoint that is gone, or was tried for too long."""
    if worst is None:
        return
    if worst.end is End.GONE:
        cancelled = await remove(ctx, endpoint.id, why="the endpoint is gone (410)", error=worst.reason)
        log.error("endpoint.gone", endpoint_id=str(endpoint.id), cancelled=cancelled, then="evergrant endpoints list")
    elif endpoint.failing_since:
        since: datetime = ctx.now() - timedelta(days=PATIENCE.days)
        await give_up(ctx, endpoint.id, tried_since=since, why=in_vain(worst))
