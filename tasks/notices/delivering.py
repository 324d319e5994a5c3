"""Deliveries are due: send each notice to its endpoint, at least once, and settle it by what the endpoint says."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle.patience import PATIENCE, pause
from models import Delivery, DeliveryData, Endpoint, GrantData, Notice, NoticeData, Outcome
from models.among import among_given
from models.bulk import GRANTS
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
    for endpoint_id in await send(ctx, delivery_ids):
        await ring_deliveries(ctx, endpoint_id)


async def send(ctx: Context, delivery_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Send what is due, and ring for nothing; return the endpoints to which more may be due now."""
    by_endpoint = await _read(ctx, delivery_ids)
    ends = await asyncio.gather(*(_send_to(ctx, *one) for one in by_endpoint), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return [endpoint.id for (endpoint, _), end in zip(by_endpoint, ends, strict=True) if end]


Matters = Mapping[UUID, Matter | None]
"""What each delivery is about; None where an earlier one goes first."""


async def _read(ctx: Context, ids: Sequence[UUID]) -> list[tuple[Endpoint, Matters]]:
    """Read at once, by endpoint, what the deliveries are about."""
    found: dict[UUID, tuple[Endpoint, dict[UUID, Matter | None]]] = {}
    async with ctx.database.reading() as session:
        for endpoint, delivery_id, is_first, *told in await session.execute(_told(), {"ids": list(ids)}):
            matters = found.setdefault(endpoint.id, (endpoint, {}))[1]
            matters[delivery_id] = _matter(told) if is_first else None
    return list(found.values())


def _matter(told: Sequence[Any]) -> Matter:
    notice = dict(zip(NOTICES.c.keys(), told[: len(NOTICES.c)], strict=True))
    grant = dict(zip(GRANTS.c.keys(), told[len(NOTICES.c) :], strict=True))
    return Matter(NoticeData.read(notice), GrantData.read(grant) if grant["id"] else None)


@cache
def _told() -> Select[*tuple[Any, ...]]:
    """Made once: see models.bulk."""
    to = select(Endpoint, col(Delivery.id), first_in_line(), *NOTICES.c, *GRANTS.c).join(
        Delivery, col(Delivery.endpoint_id) == col(Endpoint.id)
    )
    about = to.join(NOTICES, col(Delivery.notice_id) == NOTICES.c.id)
    about = about.join(GRANTS, NOTICES.c.grant_id == GRANTS.c.id, isouter=True)
    return about.where(among_given(col(Delivery.id), "ids")).order_by(col(Delivery.id))


async def _send_to(ctx: Context, endpoint: Endpoint, matters: Matters) -> bool:
    """Send to one endpoint, if it is not resting, and if nobody else in this process is at it; say whether it was so.

    What is let lie stays due, and is rung for when the one at work is done, or the rest is over.
    """
    if endpoint.id in ctx.outbound.busy or (endpoint.rests_until and endpoint.rests_until > ctx.now()):
        return False
    ids = list(matters)[:1] if endpoint.failing_since else list(matters)
    ctx.outbound.busy.add(endpoint.id)
    try:
        async with claimed(ctx, DeliveryData, ids) as claim:
            if endpoint.removed_at:
                await _cancel(claim)
            elif claim.rows:
                await _send_all(claim, endpoint, matters)
    finally:
        ctx.outbound.busy.discard(endpoint.id)
    return True


async def _cancel(claim: Claim[DeliveryData]) -> None:
    async with claim.settling() as (_session, rows):
        for row in rows:
            close(row, Outcome.CANCELLED, now=claim.ctx.now(), reason="the endpoint was removed")


async def _send_all(claim: Claim[DeliveryData], endpoint: Endpoint, matters: Matters) -> None:
    """Send side by side, a few at once, and stop where the endpoint shows that it is in trouble."""
    ctx = claim.ctx
    results: asyncio.Queue[tuple[DeliveryData, Attempt]] = asyncio.Queue()
    gate, trouble = asyncio.Semaphore(AT_ONCE), asyncio.Event()

    async def one(row: DeliveryData) -> None:
        async with gate:
            matter = None if trouble.is_set() else matters[row.id]
            result = await attempt(ctx, matter, endpoint) if matter else UNTRIED
            if result.end in (End.TROUBLE, End.GONE):
                trouble.set()
        results.put_nowait((row, result))

    async with asyncio.TaskGroup() as group:
        settling = group.create_task(_settle_as_they_come(claim, endpoint, results))
        for row in claim.rows:
            group.create_task(one(row))
    await _see_to(ctx, endpoint, settling.result())


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
    rows, ends = [row for row, _ in batch], [result for _, result in batch]
    for row, result in batch:
        _settle_one(row, result, now=now, chance=ctx.chance())
    if not _is_news(endpoint, ends):
        await claim.write(rows)
        return
    async with claim.settling_together(rows) as (session, _ours):
        await _note(ctx, session, endpoint, ends, now=now)


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


def _worst(results: Sequence[Attempt]) -> Attempt | None:
    return next((result for result in results if result.end is End.TROUBLE), None)


def _is_news(endpoint: Endpoint, results: Sequence[Attempt]) -> bool:
    """Whether an endpoint has got into trouble, or takes notices again."""
    works = any(result.end in (End.TAKEN, End.REFUSED) for result in results)
    return _worst(results) is not None or bool(works and endpoint.failing_since)


async def _note(
    ctx: Context, session: AsyncSession, endpoint: Endpoint, results: Sequence[Attempt], *, now: datetime
) -> None:
    """Write down that an endpoint is in trouble, and for how long it rests; or that it takes notices again."""
    row = await session.get_one(Endpoint, endpoint.id, with_for_update=True, populate_existing=True)
    if worst := _worst(results):
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
