"""The first and the last beat of a task: take the rows that are due, and settle those that are still ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from models import EventData, NoticeData
from models.bulk import write_changes
from models.cancellation import is_cancelled, to_its_end
from models.claims import (
    Claimable,
    Outcome,
    claim,
    claim_others,
    close,
    none_open,
    postpone,
    renew,
    still_held,
    still_ours,
)
from models.database import is_away
from models.kinds import NOTICE_DUE
from nylas_api import NylasError
from tasks.context import STILL_AT_WORK, Context

log = structlog.get_logger()

Row = TypeVar("Row", bound=Claimable)

TOGETHER = 200
DOUBTED = 2
"""Crashes after which a row is worked on alone. After the first one it may well have been another one's fault."""
QUICK = 10  # rows that are settled before those of others who have more


@dataclass(slots=True)
class Claim(Generic[Row]):
    """Rows that this task holds. What it read of them is for reading; they are written in `settling`."""

    ctx: Context
    model: type[Row]
    token: UUID
    rows: list[Row]
    until: datetime
    asked: set[UUID] = field(default_factory=set)
    """Those of the rows for which Nylas is being asked to change something."""

    @property
    def lasts(self) -> bool:
        """Whether nobody else can have taken the rows yet: the process may have slept past its lease."""
        return self.ctx.now() < self.until

    @asynccontextmanager
    async def settling(self, rows: Sequence[Row] | None = None) -> AsyncIterator[tuple[AsyncSession, list[Row]]]:
        """Open the one transaction that writes the outcome, with those of the rows that are still ours.

        They come locked and freshly read. A worker that was paused past its lease gets none.
        """
        wanted = self.rows if rows is None else rows
        quick = len(wanted) <= QUICK
        async with self.ctx.turns.turn(quick=quick), self.ctx.database.writing() as session:
            ours = await still_ours(session, self.model, self.token, [row.id for row in wanted])
            yield session, ours
            if self.model.mapped() is not self.model:
                await write_changes(session, ours)  # row objects write themselves

    @asynccontextmanager
    async def settling_together(self, rows: Sequence[Row]) -> AsyncIterator[tuple[AsyncSession, list[Row]]]:
        """Do the same for many rows in fewer steps: they come as they were claimed, and are written in one statement.

        For tables alone where nobody but its holder writes to a row that is held and not settled. What the block
        reads of the table it reads as it was before.
        """
        quick = len(rows) <= QUICK
        async with self.ctx.turns.turn(quick=quick), self.ctx.database.writing() as session:
            held = await still_held(session, self.model, self.token, [row.id for row in rows])
            ours = [row for row in rows if row.id in held]
            yield session, ours
            await write_changes(session, ours)

    async def write(self, rows: Sequence[Row]) -> None:
        """Write what was changed in rows as they were claimed, in one statement, where nothing is written with them.

        For the same tables; those that are not ours any more are left as they are.
        """
        quick = len(rows) <= QUICK
        async with self.ctx.turns.turn(quick=quick), self.ctx.database.by_statement() as session:
            in_order: list[Row] = sorted(rows, key=lambda row: row.id)
            await write_changes(session, in_order, token=self.token)


@asynccontextmanager
async def claimed(
    ctx: Context,
    model: type[Row],
    ids: Sequence[UUID],
    *,
    others: ColumnElement[bool] | None = None,
    most: int = TOGETHER,
) -> AsyncIterator[Claim[Row]]:
    """Hold the rows for the length of the block: the lease is renewed while it lasts.

    With `others`, such rows as are due as well come with them, up to `most`: in a storm, when rings come with a row or
    two each, these are done by the hundred, and the rings for them find nothing left to do. Who is the only one at work
    in this process need not ask for such. Without any ids it is the others alone that are held.

    A row at which the work crashed again comes after the others, and alone: if it was the cause, no other goes down
    with it. If the block fails, or is cancelled by a shutdown, the rows are let go, due again: soon, or after a wait.
    """
    held = await _whole(_take(ctx, model, ids, others, most))
    rows = held.rows
    if not rows:
        yield held
        return
    renewing = asyncio.create_task(_keep_renewing(held))
    ctx.turns.at_work += 1
    try:
        yield held
    except asyncio.CancelledError:
        await asyncio.shield(_let_go(held, reason="the worker was stopped", at_once=True))
        raise
    except Exception as error:
        if is_away(error):  # no fault of the rows'
            await _let_go(held, reason="the database was away")
        else:
            await _let_go(held, reason=f"{type(error).__name__} in our own code; see the log", crashed=True)
        raise
    finally:
        ctx.turns.at_work -= 1
        renewing.cancel()


async def _whole(taking: Coroutine[Any, Any, Claim[Row]]) -> Claim[Row]:
    """Take rows, or none: who is stopped while the claim is being committed can't know, and lets go of what it took."""
    taken = asyncio.create_task(taking)
    try:
        return await to_its_end(taken)
    except asyncio.CancelledError:
        if not taken.cancelled() and not taken.exception() and (held := taken.result()).rows:
            await _let_go(held, reason="the worker was stopped", at_once=True)
        raise


async def _take(
    ctx: Context, model: type[Row], ids: Sequence[UUID], others: ColumnElement[bool] | None, most: int
) -> Claim[Row]:
    if ids and not ctx.turns.at_work:
        others = None
    # In a storm most rings find nothing left, and wait for no turn then.
    if ids and others is not None and not ctx.turns.free:
        async with ctx.database.reading() as session:
            if await none_open(session, model, ids, now=ctx.now()):
                return Claim(ctx, model, uuid4(), [], ctx.now())
    async with ctx.turns.turn(quick=True), ctx.database.by_statement() as session:
        now = ctx.now()
        token, taken = await claim(session, model, ids, now=now, lease=ctx.lease) if ids else (uuid4(), [])
        rows, left = _set_apart(taken)
        for row in left:
            row.attempts, row.rung_at = row.attempts - 1, now if _kind_of(row) else None
            row.claim_token = row.lease_until = None
        await write_changes(session, left)
        sound = not any(row.crashes for row in rows)
        if (rows or not ids) and sound and others is not None and (room := most - len(rows)) > 0:
            rows += await claim_others(session, model, others, now=now, lease=ctx.lease, token=token, most=room)
    for row in left:
        if kind := _kind_of(row):
            ctx.ring(kind, [row.id])
    return Claim(ctx, model, token, rows, now + ctx.lease)


def _set_apart(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Say which of the rows are worked on together, and which are left: one that is doubted is worked on alone."""
    doubted = [row for row in rows if row.crashes >= DOUBTED]
    if not doubted or len(rows) == 1:
        return rows, []
    sound = [row for row in rows if row.crashes < DOUBTED]
    return (sound, doubted) if sound else (doubted[:1], doubted[1:])


def _kind_of(row: Claimable) -> str | None:
    """What rings for a row that is left; of the others whoever works on them rings for the next by himself."""
    match row:
        case EventData():
            return row.kind
        case NoticeData():
            return NOTICE_DUE
        case _:
            return None


async def _keep_renewing(held: Claim[Row]) -> None:
    ctx = held.ctx
    while True:
        await asyncio.sleep(ctx.lease.total_seconds() / 3)
        try:
            async with ctx.turns.turn(quick=True), ctx.database.by_statement() as session:
                ids, now = [row.id for row in held.rows], ctx.now()
                ours = await renew(session, held.model, held.token, ids, now=now, lease=ctx.lease)
            held.until = now + ctx.lease if ours else held.until
        except (
            Exception
        ) as error:  # the next round may succeed; if none does, the lease ends and another worker takes over
            if is_cancelled():
                return
            log.warning("claim.not_renewed", error=type(error).__name__)


async def _let_go(held: Claim[Row], *, reason: str, at_once: bool = False, crashed: bool = False) -> None:
    """Let the rows be taken again: after a wait, or at once. They `crashed` where they may have been the cause.

    What Nylas was being asked to change it may be at work on yet, whatever became of us.
    """
    now = held.ctx.now()
    async with held.settling() as (_session, rows):
        for row in rows:
            row.crashes += crashed
            wait = timedelta() if at_once else held.ctx.backoff(row.attempts)
            postpone(row, until=now + (max(wait, STILL_AT_WORK) if row.id in held.asked else wait), reason=reason)


def settle_error(ctx: Context, row: Claimable, error: NylasError) -> None:
    """Write down that Nylas did not give us what we asked for: due again later, or failed for good."""
    now, wait = ctx.now(), ctx.wait_after(error, row.attempts)
    reason = f"{error} (the provider said: {error.provider_error})" if error.provider_error else str(error)
    if wait is None:
        close(row, Outcome.FAILED, now=now, reason=reason, request_id=error.request_id)
    else:
        postpone(row, until=now + wait, reason=reason, request_id=error.request_id)


async def each_alone(
    ctx: Context,
    model: type[Row],
    ids: Sequence[UUID],
    work: Callable[[Claim[Row], Row], Awaitable[None]],
) -> None:
    """Do the work of each row by itself, side by side: one that fails takes no other with it.

    Raises the first failure after all have ended.
    """

    async def one(row_id: UUID) -> None:
        async with claimed(ctx, model, [row_id]) as claim:
            for row in claim.rows:
                await work(claim, row)

    ends = await asyncio.gather(*(one(row_id) for row_id in ids), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
