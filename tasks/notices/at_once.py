"""Notices that are settled as they are written: those that nobody wants, and those that may go at once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle.brake import Braked
from models import Delivery, DeliveryData, EndpointData, GrantData, Notice, NoticeData, NoticeKind
from models.among import among_given
from models.claims import Outcome, close
from models.inserting import insert_new
from models.prepared import Prepared
from tasks.brakes import room_for
from tasks.context import Context
from tasks.notices.endpoints import active, can_take, nobody_wants, wants
from tasks.notices.storing import untold

_written: ContextVar[list[UUID] | None] = ContextVar("written", default=None)


def noting_deliveries() -> list[UUID]:
    """Return a list that all deliveries which the task at hand writes from now on are noted in.

    They are for whoever sends them after it; some may have been rolled back.
    """
    noted = list[UUID]()
    _written.set(noted)
    return noted


async def settle_at_once(
    ctx: Context,
    session: AsyncSession,
    notices: Sequence[NoticeData],
    grants: Mapping[str, GrantData],
    *,
    now: datetime,
) -> Sequence[DeliveryData]:
    """Settle, before they are stored, those that would go now; return the deliveries of those that go.

    The grants must be locked. What nobody wants is settled with the reason. What can't go yet stays due, and is fanned
    out in its turn: behind others about its grant, or where the brake counts. A reminder always is, as it gets a link
    and leads to the next one. This saves a claim, and one transaction of two, for nearly every notice about a grant.
    """
    due = [
        notice
        for notice in notices
        if notice.settled_at is None
        and notice.held_by is None
        and notice.due_at <= now
        and notice.kind is not NoticeKind.REAUTH_REQUIRED
    ]
    if not due:
        return []
    endpoints = await active(session, ctx.application_id)
    going: list[tuple[NoticeData, list[EndpointData]]] = []
    for notice in due:
        grant = grants.get(notice.grant_id or "")
        if wanted_by := [one for one in endpoints if wants(one, notice, grant) and can_take(one, notice)]:
            going.append((notice, wanted_by))
        else:
            untold(notice, nobody_wants(notice, endpoints), now=now)
    behind = await _behind_others(session, {notice.grant_id for notice, _ in going if notice.grant_id})
    free = [(notice, wanted_by) for notice, wanted_by in going if notice.grant_id not in behind]
    room = await room_for(len(free), session, ctx, Braked.NOTICES, now=now) if free else None
    if room is not None and room < len(free):
        return []
    for notice, _ in free:
        close(notice, Outcome.DONE, now=now)
    return [delivery for notice, wanted_by in free for delivery in deliveries_of(notice, wanted_by, now=now)]


async def _behind_others(session: AsyncSession, grant_ids: Collection[str]) -> set[str | None]:
    """Say which grants have a notice that is on its way, or is held: those that come later wait for it, or join it."""
    if not grant_ids:
        return set()
    return set(await _on_their_way().firsts(session, {"grants": list(grant_ids)}))


@cache
def _on_their_way() -> Prepared:
    of_these = among_given(col(Notice.grant_id), "grants")
    return Prepared(select(col(Notice.grant_id)).where(of_these, col(Notice.settled_at).is_(None)))


def deliveries_of(notice: NoticeData, endpoints: Iterable[EndpointData], *, now: datetime) -> list[DeliveryData]:
    """Make the deliveries of a notice, one for each of the endpoints."""
    return [
        DeliveryData(
            notice_id=notice.id,
            endpoint_id=endpoint.id,
            grant_id=notice.grant_id,
            seq=notice.seq,
            due_at=now,
            since=now,
        )
        for endpoint in endpoints
    ]


async def store_deliveries(session: AsyncSession, deliveries: Sequence[DeliveryData]) -> None:
    """Write deliveries down, after their notices."""
    if not deliveries:
        return
    await insert_new(session, Delivery, [delivery.columns() for delivery in deliveries])
    if (mine := _written.get()) is not None:
        mine += [delivery.id for delivery in deliveries]
