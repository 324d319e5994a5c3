"""Ringing for deliveries that are due: of each endpoint those that nothing goes before, and while it fails only one."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from models import Delivery, Endpoint, Notice
from models.claims import take_unrung, unrung
from models.kinds import DELIVERY_DUE
from tasks.context import Context

AT_A_TIME = 100


@lru_cache(64)
def may_be_told(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: a notice of this application that nothing holds back."""
    return (col(Notice.application_id) == application_id) & col(Notice.held_by).is_(None)


@cache
def first_in_line() -> ColumnElement[bool]:
    """In SQL: no earlier notice about the same grant is still on its way to the same endpoint.

    Made once: making it takes longer than asking the database does.
    """
    earlier = aliased(Delivery)
    before = exists().where(
        col(earlier.endpoint_id) == col(Delivery.endpoint_id),
        col(earlier.grant_id) == col(Delivery.grant_id),
        col(earlier.seq) < col(Delivery.seq),
        col(earlier.settled_at).is_(None),
    )
    return or_(col(Delivery.grant_id).is_(None), ~before)


async def ring_deliveries(ctx: Context, endpoint_id: UUID | None = None) -> int:
    """Ring for what is due to each endpoint, or to this one; return how many deliveries that was.

    An endpoint that rests after a failure is let rest, and one that failed last is tried with one delivery first.
    It reads first: where nothing is due nothing is written.
    """
    return sum([await _ring(ctx, endpoint) for endpoint in await _with_work(ctx, endpoint_id)])


def with_work(ctx: Context, now: datetime) -> ColumnElement[bool]:
    """In SQL: an endpoint of this application that does not rest, and that something is due to."""
    due = exists().where(col(Delivery.endpoint_id) == col(Endpoint.id), unrung(Delivery, now), first_in_line())
    rested = or_(col(Endpoint.rests_until).is_(None), col(Endpoint.rests_until) <= now)
    return (col(Endpoint.application_id) == ctx.application_id) & rested & due


async def _with_work(ctx: Context, endpoint_id: UUID | None) -> Sequence[Endpoint]:
    wanted = select(Endpoint).where(with_work(ctx, ctx.now()))
    if endpoint_id:
        wanted = wanted.where(col(Endpoint.id) == endpoint_id)
    async with ctx.database.reading() as session:
        return [one for one in await session.scalars(wanted) if one.id not in ctx.outbound.busy]


async def _ring(ctx: Context, endpoint: Endpoint) -> int:
    most = 1 if endpoint.failing_since else AT_A_TIME
    of_it = col(Delivery.endpoint_id) == endpoint.id
    async with ctx.database.writing() as session:
        rows = await take_unrung(session, Delivery, of_it, first_in_line(), now=ctx.now(), most=most)
    ctx.ring(DELIVERY_DUE, [row.id for row in rows])
    return len(rows)
