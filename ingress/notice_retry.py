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
    again = await _bring_back(runtime, ways)
    if to is None:
        again += await _bring_back_notices(runtime, notices)
    await ring_deliveries(runtime.context)
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


async def _bring_back(runtime: Runtime, ways: ColumnElement[bool]) -> int:
    number = 0
    while True:
        now = runtime.context.now()
        async with runtime.context.database.writing() as session:
            part = select(col(Delivery.id)).where(ways).order_by(col(Delivery.id)).limit(ROWS_A_TRANSACTION)
            ids = (await session.scalars(part.with_for_update())).all()
            again = update(Delivery).where(col(Delivery.id).in_(ids))
            again = again.values(settled_at=None, outcome=None, attempts=0, crashes=0, since=now, due_at=now)
            again = again.values(rung_at=None, claim_token=None, lease_until=None)
            await session.execute(again.execution_options(synchronize_session=False))
        number += len(ids)
        if len(ids) < ROWS_A_TRANSACTION:
            return number


async def _bring_back_notices(runtime: Runtime, notices: ColumnElement[bool]) -> int:
    """Those at which our own code failed again and again; one is let lie if another of its kind is open by now."""
    now = runtime.context.now()
    other = aliased(Notice)
    alike = and_(col(other.grant_id) == col(Notice.grant_id), col(other.kind) == col(Notice.kind))
    is_open = exists().where(alike, col(other.settled_at).is_(None), col(other.id) != col(Notice.id))
    async with runtime.context.database.reading() as session:
        ids = (await session.scalars(select(col(Notice.id)).where(notices))).all()
    due: list[UUID] = []
    for notice_id in ids:
        async with runtime.context.database.writing() as session:
            again = update(Notice).where(col(Notice.id) == notice_id, notices, ~is_open)
            again = again.values(settled_at=None, outcome=None, attempts=0, crashes=0, due_at=now, rung_at=now)
            done = await session.execute(again.returning(col(Notice.id)).execution_options(synchronize_session=False))
            due += done.scalars().all()
    for start in range(0, len(due), most_ids(NOTICE_DUE)):
        runtime.context.ring(NOTICE_DUE, due[start : start + most_ids(NOTICE_DUE)])
    return len(due)
