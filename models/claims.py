"""Rows that are work: when they are due, who holds them, and how they ended."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from models.among import among_given, chosen
from models.bulk import write_changes
from models.columns import id_field, words
from models.prepared import Prepared
from models.row import RowData, table_of

MOST_CRASHES = 5
MOST_ATTEMPTS = 450  # about three days of them, ten minutes apart


class Outcome(StrEnum):
    """How a row of work ended."""

    DONE = "done"
    IGNORED = "ignored"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SET_ASIDE = "set_aside"


class Claimable(RowData):
    """What a row of work carries beside its matter.

    `due_at` says when it may be worked on; `rung_at` when somebody was last told of it. A claim writes a token and
    a lease: whoever holds the token may write to the row, and a claimant that slept past its lease holds it no
    more. `attempts` counts claims; `crashes` those whose holder never came back, or failed in our own code.
    """

    id: UUID = id_field()
    due_at: datetime
    rung_at: datetime | None = None
    attempts: int = 0
    crashes: int = 0
    claim_token: UUID | None = None
    lease_until: datetime | None = None
    settled_at: datetime | None = None
    outcome: Outcome | None = Field(default=None, sa_type=words(Outcome))
    reason: str | None = None
    request_id: str | None = Field(default=None, max_length=128)


Row = TypeVar("Row", bound="Claimable")


def due_index(table: str, *, unless: str | None = None) -> sa.Index:
    """The index that the sweep reads: only rows that are not settled, so it stays as small as the work left.

    `unless` names a column; rows that have it set are left out, since the sweep passes them over.
    """
    unsettled = sa.text("settled_at IS NULL" + (f" AND {unless} IS NULL" if unless else ""))
    return sa.Index(f"ix_{table}_due", "due_at", postgresql_where=unsettled, sqlite_where=unsettled)


def open_at(model: type[Row], now: datetime | sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """Not settled, due, and held by nobody."""
    return sa.and_(
        col(model.settled_at).is_(None),
        col(model.due_at) <= now,
        sa.or_(col(model.lease_until).is_(None), col(model.lease_until) < now),
    )


async def none_open(session: AsyncSession, model: type[Row], ids: Sequence[UUID], *, now: datetime) -> bool:
    """Say that none of the rows is due and free any more; nothing is locked for that."""
    return not await _any_open(model).rows(session, {"given_ids": list(ids), "given_at": now})


@cache
def _any_open(model: type[Row]) -> Prepared:
    kept = model.mapped()
    those = among_given(col(kept.id), "given_ids")
    return Prepared(sa.select(col(kept.id)).where(those, open_at(kept, sa.bindparam("given_at"))).limit(1))


async def claim(
    session: AsyncSession,
    model: type[Row],
    ids: Sequence[UUID],
    *,
    now: datetime,
    lease: timedelta,
) -> tuple[UUID, list[Row]]:
    """Take those of the rows that are due and free; return a new token, and the rows taken.

    The attempt is counted here, before the work: a row that kills its worker is counted as well. One whose
    claimants crashed `MOST_CRASHES` times, or that was tried `MOST_ATTEMPTS` times, is set aside for a human.
    """
    token = uuid4()
    given = {"given_ids": list(ids), "given_at": now, "given_token": token, "given_until": now + lease}
    rows = await _rows(session, model, _taking(model), given)
    return token, await _without_spent(session, rows, now=now)


async def claim_others(
    session: AsyncSession,
    model: type[Row],
    which: sa.ColumnElement[bool],
    *,
    now: datetime,
    lease: timedelta,
    token: UUID,
    most: int,
) -> list[Row]:
    """Take rows that are due and free, oldest first, and that never had a worker die or fail on them.

    Those that another one is taking are passed over, and both this and `claim` are one statement each.
    """
    given = {"given_at": now, "given_token": token, "given_until": now + lease, "most": most}
    rows = await _rows(session, model, _taking_others(model, which), given)
    return await _without_spent(session, rows, now=now)


async def _without_spent(session: AsyncSession, rows: list[Row], *, now: datetime) -> list[Row]:
    """Set aside those that were tried in vain for too long; return the others."""
    spent = [row for row in rows if row.crashes >= MOST_CRASHES or row.attempts > MOST_ATTEMPTS]
    for row in spent:
        crashed = row.crashes >= MOST_CRASHES
        last = f"; the last reason was: {row.reason}" if row.reason else ""
        row.reason = (
            f"the work on it crashed {row.crashes} times" if crashed else f"tried {MOST_ATTEMPTS} times"
        ) + last
        close(row, Outcome.SET_ASIDE, now=now)
    await write_changes(session, spent)
    return [row for row in rows if row.settled_at is None]


@cache
def _taking(model: type[Row]) -> Any:
    kept = model.mapped()
    return _claiming(
        model, _locked(kept, among_given(col(kept.id), "given_ids"), open_at(kept, sa.bindparam("given_at")))
    )


@lru_cache(64)
def _taking_others(model: type[Row], which: sa.ColumnElement[bool]) -> Any:
    """Made once where the condition is."""
    kept = model.mapped()
    sound = col(kept.lease_until).is_(None) & (col(kept.crashes) == 0)
    wanted = sa.select(col(kept.id)).where(open_at(kept, sa.bindparam("given_at")), sound, which)
    oldest = wanted.order_by(col(kept.due_at), col(kept.id)).limit(sa.bindparam("most", type_=sa.Integer()))
    return _claiming(model, oldest.with_for_update(skip_locked=True))


def _claiming(model: type[Row], free: sa.Select[UUID]) -> Any:
    kept = model.mapped()
    died = sa.case((col(kept.lease_until).is_not(None), 1), else_=0)
    taken = (
        sa.update(table_of(kept) if kept is not model else kept)
        .where(chosen(col(kept.id), free))
        .values(
            claim_token=sa.bindparam("given_token"),
            lease_until=sa.bindparam("given_until"),
            attempts=col(kept.attempts) + 1,
            crashes=col(kept.crashes) + died,
        )
    )
    return _as_rows(model, taken.returning(*_read_as(model)))


async def renew(
    session: AsyncSession, model: type[Row], token: UUID, ids: Iterable[UUID], *, now: datetime, lease: timedelta
) -> int:
    """Hold on to those of the rows that are still ours for another lease; return how many they were."""
    given = {"given_ids": list(ids), "given_token": token, "given_until": now + lease}
    return len(await _renewing(model).rows(session, given))


@cache
def _renewing(model: type[Row]) -> Prepared:
    kept = model.mapped()
    ours = col(kept.id).in_(_locked(kept, *_ours(kept)))
    return Prepared(sa.update(kept).where(ours).values(lease_until=sa.bindparam("given_until")).returning(col(kept.id)))


def _ours(model: type[Row]) -> tuple[sa.ColumnElement[bool], ...]:
    """In SQL: one of the ids, still held by the token; both are given when it is executed."""
    held = col(model.claim_token) == sa.bindparam("given_token")
    return among_given(col(model.id), "given_ids"), held, col(model.settled_at).is_(None)


def _locked(model: type[Row], *condition: sa.ColumnElement[bool]) -> sa.Select[UUID]:
    """Lock rows in the order of their ids, so that two who lock the same ones never wait for each other in a ring."""
    return sa.select(col(model.id)).where(*condition).order_by(col(model.id)).with_for_update()


async def still_held(session: AsyncSession, model: type[Row], token: UUID, ids: Iterable[UUID]) -> set[UUID]:
    """Lock, as `still_ours` does, those of the rows that we still hold, and return no more than their ids."""
    return set(await _held_ids(model).firsts(session, {"given_ids": list(ids), "given_token": token}))


@cache
def _held_ids(model: type[Row]) -> Prepared:
    kept = model.mapped()
    return Prepared(_locked(kept, *_ours(kept)))


async def still_ours(session: AsyncSession, model: type[Row], token: UUID, ids: Iterable[UUID]) -> list[Row]:
    """Read, and lock until the end of the transaction, those of the rows that we still hold.

    This is the fence: a worker that was paused past its lease finds nothing here, and so writes nothing.
    """
    return await _rows(session, model, _held(model), {"given_ids": list(ids), "given_token": token})


@cache
def _held(model: type[Row]) -> Any:
    kept = model.mapped()
    held = sa.select(*_read_as(model)).where(*_ours(kept)).order_by(col(kept.id)).with_for_update()
    return _as_rows(model, held)


def _read_as(model: type[Row]) -> Sequence[Any]:
    """What is selected: a row object of the ORM, or the columns of a row that is data."""
    return (model,) if model.mapped() is model else tuple(table_of(model.mapped()).c)


def _as_rows(model: type[Row], statement: Any) -> Any:
    """Made once and kept, either way: see models.bulk."""
    if model.mapped() is not model:
        return Prepared(statement)
    return statement.execution_options(populate_existing=True, synchronize_session=False)


async def _rows(session: AsyncSession, model: type[Row], statement: Any, given: dict[str, Any]) -> list[Row]:
    if isinstance(statement, Prepared):
        return [model.read(row) for row in await statement.dicts(session, given)]
    return list((await session.scalars(statement, given)).all())


def close(
    row: Claimable,
    outcome: Outcome,
    *,
    now: datetime,
    reason: str | None = None,
    request_id: str | None = None,
) -> None:
    """Settle a row: say how it ended, and let go of it."""
    row.settled_at, row.outcome = now, outcome
    row.reason = reason or row.reason if outcome is Outcome.SET_ASIDE else reason
    row.request_id = request_id or row.request_id
    row.claim_token = row.lease_until = None


def postpone(row: Claimable, *, until: datetime, reason: str, request_id: str | None = None) -> None:
    """Let go of a row for now: it is due again at `until`."""
    row.due_at, row.reason = until, reason
    row.request_id = request_id or row.request_id
    row.claim_token = row.lease_until = row.rung_at = None
