"""Rings for rows of work: who tells a worker of what is due notes when, so that nobody else does so at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.among import among, chosen
from models.claims import Claimable, open_at
from models.prepared import Prepared

RING_AGAIN = timedelta(seconds=2)
NOW: sa.BindParameter[Any] = sa.bindparam("given_at")
RUNG_BEFORE: sa.BindParameter[Any] = sa.bindparam("given_rung_before")

Row = TypeVar("Row", bound=Claimable)


def moment(now: datetime) -> dict[str, Any]:
    """What a statement with `unrung` in it is given when it is executed."""
    return {"given_at": now, "given_rung_before": now - RING_AGAIN}


def unrung(model: type[Row]) -> sa.ColumnElement[bool]:
    """In SQL: due, held by nobody, and nobody was told of it lately; `moment` says when that is."""
    return sa.and_(open_at(model, NOW), sa.or_(col(model.rung_at).is_(None), col(model.rung_at) < RUNG_BEFORE))


async def take_unrung(
    session: AsyncSession,
    model: type[Row],
    *which: sa.ColumnElement[bool],
    now: datetime,
    most: int,
    order: tuple[Any, ...] = (),
    also: tuple[Any, ...] = (),
    given: Mapping[str, Any] | None = None,
) -> Sequence[SimpleNamespace]:
    """Choose rows that are due and free, and that nobody was told of lately; note that now somebody is.

    Returns of each its `id`, its `lease_until` (of a holder that never came back) and the columns in `also`, in the
    `order` that is given, or oldest first. `given` is what the conditions are given, if they are to be. It is one
    statement, which is kept where the conditions are.

    Several processes may do so at once: no row is given to two of them.
    """
    order = order or (col(model.due_at), col(model.id))
    of_now = {**moment(now), "most": most, **(given or {})}
    told = await _telling(model, which, order, also).dicts(session, of_now)
    in_order = sorted(told, key=lambda row: [row[column.key] for column in order])
    return [SimpleNamespace(**row) for row in in_order]


@lru_cache(64)
def _telling(
    model: type[Row], which: tuple[sa.ColumnElement[bool], ...], order: tuple[Any, ...], also: tuple[Any, ...]
) -> Prepared:
    """Made once where the conditions are: see models.bulk."""
    first = sa.select(col(model.id)).where(unrung(model), *which).order_by(*order)
    free = first.limit(sa.bindparam("most", type_=sa.Integer())).with_for_update(skip_locked=True)
    told = sa.update(model).where(chosen(col(model.id), free)).values(rung_at=NOW)
    wanted = {column.key: column for column in (col(model.id), col(model.lease_until), *order, *also)}
    return Prepared(told.returning(*wanted.values()))


async def leave_unrung(session: AsyncSession, model: type[Row], ids: Sequence[UUID], *, now: datetime) -> None:
    """Note that nobody was told of those that are due and free: whoever rings next rings for them."""
    free = sa.select(col(model.id)).where(among(col(model.id), ids), open_at(model, now))
    untold = sa.update(model).where(col(model.id).in_(free.with_for_update(skip_locked=True))).values(rung_at=None)
    await session.execute(untold.execution_options(synchronize_session=False))
