"""Who is told: the product's endpoints, and by mail the operator and the users whose other address is known."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Delivery, Endpoint, EndpointData, GrantData, NoticeData, NoticeKind, Outcome
from models.among import among
from models.prepared import Prepared
from models.row import table_of
from tasks.context import Context

MAIL = "mailto:"
CONTACTS = MAIL
"""The endpoint that stands for the contacts of the grants, whoever they are."""

FOR_OPERATORS = (
    NoticeKind.INCIDENT_OPENED,
    NoticeKind.INCIDENT_CLOSED,
    NoticeKind.UNATTENDED,
    NoticeKind.CAMPAIGN_FINISHED,
)
FOR_USERS = (NoticeKind.REAUTH_REQUIRED,)


async def active(session: AsyncSession, application_id: UUID) -> Sequence[EndpointData]:
    """Read the endpoints that are told, oldest first."""
    rows = await _active().dicts(session, {"application": application_id})
    return [EndpointData.read(row) for row in rows]


@cache
def _active() -> Prepared:
    ours = col(Endpoint.application_id) == bindparam("application")
    active = select(table_of(Endpoint)).where(ours, col(Endpoint.removed_at).is_(None))
    return Prepared(active.order_by(col(Endpoint.created_at), col(Endpoint.id)))


def wants(endpoint: EndpointData, notice: NoticeData, grant: GrantData | None) -> bool:
    """Tell whether an endpoint is told of this notice."""
    if endpoint.url == CONTACTS and (grant is None or contact_of(grant) is None):
        return False
    return not endpoint.kinds or notice.kind.value in endpoint.kinds


def link_id(notice: NoticeData) -> UUID | None:
    """The id of the link in a notice, if it has one."""
    told = notice.data.get("link_id")
    return UUID(told) if told else None


def can_take(endpoint: EndpointData, notice: NoticeData) -> bool:
    """Tell whether a notice is of use to an endpoint: nobody is written to without a link to follow."""
    return endpoint.url != CONTACTS or link_id(notice) is not None


def nobody_wants(notice: NoticeData, endpoints: Sequence[EndpointData]) -> str:
    """Say why a notice is sent nowhere."""
    return f"no endpoint wants {notice.kind.value}" if endpoints else "no endpoint is set up"


def contact_of(grant: GrantData) -> str | None:
    """Where the user of a grant can be told by mail, if not in the mailbox that is broken."""
    if not grant.contact or grant.contact.casefold() == (grant.email or "").casefold():
        return None
    return grant.contact


def named(endpoint: EndpointData) -> str:
    """An endpoint in words, without the address of anybody."""
    if endpoint.url == CONTACTS:
        return "the users by mail"
    return "the operator by mail" if endpoint.url.startswith(MAIL) else endpoint.url


async def remove(ctx: Context, endpoint_id: UUID, *, why: str, error: str | None = None) -> int:
    """Tell an endpoint nothing more, and cancel what was on its way; return how many deliveries that was.

    What a worker is sending at this moment ends as it ends. `error` is kept for whoever asks why it is gone.
    """
    now = ctx.now()
    async with ctx.database.writing() as session:
        gone = update(Endpoint).where(col(Endpoint.id) == endpoint_id, col(Endpoint.removed_at).is_(None))
        await session.execute(gone.values(removed_at=now, last_error=error, failing_since=None, rests_until=None))
    async with ctx.database.writing() as session:
        waiting = select(col(Delivery.id)).where(
            col(Delivery.endpoint_id) == endpoint_id,
            col(Delivery.settled_at).is_(None),
            or_(col(Delivery.lease_until).is_(None), col(Delivery.lease_until) < now),
        )
        ids = (await session.scalars(waiting.with_for_update(skip_locked=True))).all()
        return await _end(session, ids, Outcome.CANCELLED, why, now=now)


async def give_up(ctx: Context, endpoint_id: UUID, *, tried_since: datetime, why: str) -> int:
    """Set aside what waits for an endpoint since before then; return how many deliveries that was."""
    now = ctx.now()
    async with ctx.database.writing() as session:
        waiting = select(col(Delivery.id)).where(
            col(Delivery.endpoint_id) == endpoint_id,
            col(Delivery.settled_at).is_(None),
            col(Delivery.since) <= tried_since,
            or_(col(Delivery.lease_until).is_(None), col(Delivery.lease_until) < now),
        )
        ids = (await session.scalars(waiting.with_for_update(skip_locked=True))).all()
        return await _end(session, ids, Outcome.SET_ASIDE, why, now=now)


async def _end(session: AsyncSession, ids: Sequence[UUID], outcome: Outcome, why: str, *, now: datetime) -> int:
    for start in range(0, len(ids), 1_000):
        ending = update(Delivery).where(among(col(Delivery.id), ids[start : start + 1_000]))
        ending = ending.values(settled_at=now, outcome=outcome, reason=why, claim_token=None, lease_until=None)
        await session.execute(ending.execution_options(synchronize_session=False))
    return len(ids)
