"""Ringing for deliveries that are due: of each endpoint those that nothing goes before, and while it fails only one."""

from datetime import datetime
from functools import cache, lru_cache
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from models import Delivery, Endpoint, Notice
from models.kinds import DELIVERY_DUE
from models.rings import NOW, moment, take_unrung, unrung
from tasks.context import Context

AT_A_TIME = 100
TO_ENDPOINT = col(Delivery.endpoint_id) == bindparam("given_endpoint")


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
    return sum([await _ring(ctx, *endpoint) for endpoint in await _with_work(ctx, endpoint_id)])


@lru_cache(64)
def with_work(application_id: UUID) -> ColumnElement[bool]:
    """In SQL: an endpoint of this application that does not rest, and that something is due to.

    `models.rings.moment` says when that is.
    """
    due = exists().where(col(Delivery.endpoint_id) == col(Endpoint.id), unrung(Delivery), first_in_line())
    rested = or_(col(Endpoint.rests_until).is_(None), col(Endpoint.rests_until) <= NOW)
    return (col(Endpoint.application_id) == application_id) & rested & due


@lru_cache(64)
def _served(application_id: UUID, *, one: bool) -> Select[UUID, datetime | None]:
    """Made once: see models.bulk."""
    wanted = select(col(Endpoint.id), col(Endpoint.failing_since)).where(with_work(application_id))
    return wanted.where(col(Endpoint.id) == bindparam("given_endpoint")) if one else wanted


async def _with_work(ctx: Context, endpoint_id: UUID | None) -> list[tuple[UUID, datetime | None]]:
    wanted = _served(ctx.application_id, one=endpoint_id is not None)
    async with ctx.database.reading() as session:
        found = await session.execute(wanted, moment(ctx.now()) | {"given_endpoint": endpoint_id})
        return [(id, failing_since) for id, failing_since in found if id not in ctx.outbound.busy]


async def _ring(ctx: Context, endpoint_id: UUID, failing_since: datetime | None) -> int:
    most = 1 if failing_since else AT_A_TIME
    which, given = (TO_ENDPOINT, first_in_line()), {"given_endpoint": endpoint_id}
    async with ctx.database.by_statement() as session:
        rows = await take_unrung(session, Delivery, *which, now=ctx.now(), most=most, given=given)
    ctx.ring(DELIVERY_DUE, [row.id for row in rows])
    return len(rows)
