"""The command that sends notices again that were set aside."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from ingress.endpoints import find_endpoint
from ingress.terminal import agree, fail, put_json, say
from models import Delivery, Endpoint, Notice, Outcome
from models.kinds import NOTICE_DUE, most_ids
from tasks.context import Context
from tasks.notices.ringing import ring_deliveries
from worker.runtime import Runtime

ROWS_A_TRANSACTION = 1_000


async def retry_notices(
    runtime: Runtime, ids: Sequence[UUID], *, every: bool, endpoint: str | None, yes: bool, as_json: bool
) -> None:
    """Make due again, for another three days, what was set aside: on the way to an endpoint, or before."""
    if bool(ids) == every:
        fail("Say which notices: their ids, or --set-aside. (evergrant notices list --status set_aside)", code=2)
    to = await find_endpoint(runtime, endpoint) if endpoint else None
    ways, notices = _set_aside(runtime, ids, to)
    async with runtime.context.database.reading() as session:
        number = await session.scalar(select(func.count()).where(ways)) or 0
        stuck = await session.scalar(select(func.count()).where(notices)) or 0 if to is None else 0
    if not number + stuck:
        fail("Nothing of that was set aside on its way to an endpoint that there still is.")
    if every:
        agree(f"Send {number + stuck} notices again?", yes=yes)
    again = await bring_back_deliveries(runtime.context, ways)
    if to is None:
        again += await bring_back_notices(runtime.context, notices)
    say(f"{again} are due again.")
    if as_json:
        put_json({"due_again": again})


def _set_aside(
    runtime: Runtime, ids: Sequence[UUID], to: Endpoint | None
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    ours = col(Endpoint.application_id) == runtime.application.id
    told = select(col(Endpoint.id)).where(ours, col(Endpoint.removed_at).is_(None))
    ways = (col(Delivery.outcome) == Outcome.SET_ASIDE) & col(Delivery.endpoint_id).in_(told)
    notices = (col(Notice.outcome) == Outcome.SET_ASIDE) & (col(Notice.application_id) == runtime.application.id)
    if to:
        ways &= col(Delivery.endpoint_id) == to.id
    if ids:
        ways &= col(Delivery.notice_id).in_(ids)
        notices &= col(Notice.id).in_(ids)
    return ways, notices


async def bring_back_deliveries(ctx: Context, ways: ColumnElement[bool]) -> int:
    """Make deliveries due again, in parts, and ring for them; return how many they were."""
    number = 0
    while True:
        now = ctx.now()
        async with ctx.database.writing() as session:
            part = select(col(Delivery.id)).where(ways).order_by(col(Delivery.id)).limit(ROWS_A_TRANSACTION)
            ids = (await session.scalars(part.with_for_update())).all()
            again = update(Delivery).where(col(Delivery.id).in_(ids))
            again = again.values(settled_at=None, outcome=None, attempts=0, crashes=0, since=now, due_at=now)
            again = again.values(rung_at=None, claim_token=None, lease_until=None)
            await session.execute(again.execution_options(synchronize_session=False))
        number += len(ids)
        if len(ids) < ROWS_A_TRANSACTION:
            break
    await ring_deliveries(ctx)
    return number


async def bring_back_notices(ctx: Context, notices: ColumnElement[bool]) -> int:
    """Do so with those at which our own code failed again and again, but for one if another of its kind is open."""
    now = ctx.now()
    other = aliased(Notice)
    alike = and_(col(other.grant_id) == col(Notice.grant_id), col(other.kind) == col(Notice.kind))
    is_open = exists().where(alike, col(other.settled_at).is_(None), col(other.id) != col(Notice.id))
    async with ctx.database.reading() as session:
        ids = (await session.scalars(select(col(Notice.id)).where(notices))).all()
    due: list[UUID] = []
    for notice_id in ids:
        async with ctx.database.writing() as session:
            again = update(Notice).where(col(Notice.id) == notice_id, notices, ~is_open)
            again = again.values(settled_at=None, outcome=None, attempts=0, crashes=0, due_at=now, rung_at=now)
            done = await session.execute(again.returning(col(Notice.id)).execution_options(synchronize_session=False))
            due += done.scalars().all()
    for start in range(0, len(due), most_ids(NOTICE_DUE)):
        ctx.ring(NOTICE_DUE, due[start : start + most_ids(NOTICE_DUE)])
    return len(due)
