"""The commands that show notices: how far each is, and why it was not sent if it was not."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, not_, select
from sqlmodel import col

from ingress.cli_notices import NoticeStatus
from ingress.grant_lists import find_grant
from ingress.terminal import fail, out, put_json, put_table
from models import Delivery, Endpoint, Notice, NoticeKind, Outcome
from tasks.notices.endpoints import named
from worker.runtime import Runtime


def is_so_far(status: NoticeStatus) -> ColumnElement[bool]:
    """In SQL: a notice is so far."""
    settled, sent = col(Notice.settled_at).is_not(None), col(Notice.outcome) == Outcome.DONE
    of_it = col(Delivery.notice_id) == col(Notice.id)
    under_way = exists().where(of_it, col(Delivery.settled_at).is_(None))
    given_up = exists().where(of_it, col(Delivery.outcome) == Outcome.SET_ASIDE)
    match status:
        case NoticeStatus.PLANNED:
            return and_(not_(settled), col(Notice.held_by).is_(None))
        case NoticeStatus.HELD:
            return and_(not_(settled), col(Notice.held_by).is_not(None))
        case NoticeStatus.SKIPPED:
            return col(Notice.outcome).in_([Outcome.SKIPPED, Outcome.CANCELLED])
        case NoticeStatus.UNDER_WAY:
            return and_(sent, under_way)
        case NoticeStatus.SET_ASIDE:
            return (col(Notice.outcome) == Outcome.SET_ASIDE) | and_(sent, not_(under_way), given_up)
        case NoticeStatus.DELIVERED:
            return and_(sent, not_(under_way), not_(given_up))


async def list_notices(
    runtime: Runtime, grant: str | None, *, kind: str | None, status: NoticeStatus | None, limit: int, as_json: bool
) -> None:
    """Print notices, the newest first."""
    wanted = select(Notice).where(col(Notice.application_id) == runtime.application.id)
    if grant:
        wanted = wanted.where(col(Notice.grant_id) == (await find_grant(runtime, grant)).id)
    if kind:
        if kind not in list(NoticeKind):
            fail(f"There are no notices of the kind {kind!r}. There are: {', '.join(NoticeKind)}", code=2)
        wanted = wanted.where(col(Notice.kind) == NoticeKind(kind))
    if status:
        wanted = wanted.where(is_so_far(status))
    async with runtime.context.database.reading() as session:
        notices = (await session.scalars(wanted.order_by(col(Notice.id).desc()).limit(limit))).all()
        stands: dict[UUID, NoticeStatus] = {}
        for each in NoticeStatus:
            for start in range(0, len(notices), 1_000):
                ids = [notice.id for notice in notices[start : start + 1_000]]
                found = await session.scalars(select(col(Notice.id)).where(col(Notice.id).in_(ids), is_so_far(each)))
                stands |= dict.fromkeys(found.all(), each)
    shown = [flat(notice, stands[notice.id]) for notice in notices]
    if as_json:
        put_json(shown)
        return
    columns = ("notice_id", "kind", "grant_id", "status", "due_at", "reason")
    put_table(None, columns, [[row[column] for column in columns] for row in shown])


async def show_notice(runtime: Runtime, notice_id: UUID, *, as_json: bool) -> None:
    """Print one notice and its deliveries. The address of a link in it is not among that."""
    async with runtime.context.database.reading() as session:
        notice = await session.get(Notice, notice_id)
        if notice is None or notice.application_id != runtime.application.id:
            fail(f"No notice has the id {notice_id}. (evergrant notices list)")
        at = col(Notice.id) == notice_id
        ways = [each for each in NoticeStatus if await session.scalar(select(exists().where(at, is_so_far(each))))]
        joined = select(Delivery, Endpoint).join(Endpoint, col(Delivery.endpoint_id) == col(Endpoint.id))
        rows = (await session.execute(joined.where(col(Delivery.notice_id) == notice_id))).all()
    shown, deliveries = flat(notice, ways[0]), [_delivery(*row) for row in rows]
    if as_json:
        put_json(shown | {"data": notice.data, "deliveries": deliveries})
        return
    put_table(None, ("field", "value"), [*shown.items(), *((f"data.{k}", v) for k, v in notice.data.items())])
    if deliveries:
        out.print()
        put_table(None, tuple(deliveries[0]), [list(row.values()) for row in deliveries])


def flat(notice: Notice, status: NoticeStatus) -> dict[str, Any]:
    """A notice as a flat object, without what it tells."""
    times = ("occurred_at", "created_at", "due_at", "settled_at")
    return {
        "notice_id": str(notice.id),
        "kind": notice.kind.value,
        "grant_id": notice.grant_id,
        "sequence": notice.seq,
        "status": status.value,
        "held_by": notice.held_by.value if notice.held_by else None,
        "reason": notice.reason,
        **{name: when.isoformat() if (when := getattr(notice, name)) else None for name in times},
    }


def _delivery(delivery: Delivery, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint": named(endpoint),
        "outcome": delivery.outcome.value if delivery.outcome else "open",
        "attempts": delivery.attempts,
        "http_status": delivery.http_status,
        "reason": delivery.reason,
        "due_at": delivery.due_at.isoformat(),
        "settled_at": delivery.settled_at.isoformat() if delivery.settled_at else None,
    }
