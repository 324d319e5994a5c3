"""The notices about a grant in the story: planned, held, told to whom, or not told and why."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.story.line import Line, What, because, moment
from models import Delivery, Endpoint, Grant, HeldBy, Incident, Notice, NoticeKind, Outcome
from tasks.notices.endpoints import MAIL, named

HELD = {
    HeldBy.CONFIRMATION: "held until a second look confirms it",
    HeldBy.INCIDENT: "held, since many grants fail for one cause",
    HeldBy.BRAKE: "held by the brake: more notices than are normal in an hour",
    HeldBy.QUARANTINE: "held, since the account is in quarantine",
}


async def notices_of(session: AsyncSession, grant: Grant) -> Sequence[Notice]:
    """Read the notices about a grant, in their order."""
    wanted = select(Notice).where(col(Notice.grant_id) == grant.id).order_by(col(Notice.seq), col(Notice.id))
    return (await session.scalars(wanted)).all()


async def lines(session: AsyncSession, grant: Grant, notices: Sequence[Notice]) -> list[Line]:
    """Tell of the notices, of their way to each endpoint, and of the incidents that held them."""
    ids = {notice.incident_id for notice in notices if notice.incident_id}
    incidents = (await session.scalars(select(Incident).where(col(Incident.id).in_(ids)))).all() if ids else ()
    deliveries = (
        select(Delivery, Endpoint)
        .join(Endpoint, col(Delivery.endpoint_id) == col(Endpoint.id))
        .join(Notice, col(Delivery.notice_id) == col(Notice.id))
        .where(col(Notice.grant_id) == grant.id)
    )
    by_id = {notice.id: notice for notice in notices}
    told = [line for notice in notices for line in _notice(notice)]
    for delivery, endpoint in await session.execute(deliveries):
        if notice := by_id.get(delivery.notice_id):
            told.append(_delivery(notice, delivery, endpoint))
    return told + [line for incident in incidents for line in _incident(incident)]


def _notice(notice: Notice) -> Iterator[Line]:
    of, name = str(notice.id), _name(notice)
    if notice.settled_at is None:
        held = f", {HELD[notice.held_by]}{_of_incident(notice)}" if notice.held_by else ""
        what = f"the notice {name} is planned for {moment(notice.due_at)}{held or because(notice.reason)}"
        yield Line(notice.created_at, What.NOTICE, "Evergrant", what, of)
        return
    if notice.created_at < notice.settled_at:
        yield Line(notice.created_at, What.NOTICE, "Evergrant", f"the notice {name} was planned", of)
    if notice.outcome is Outcome.DONE:
        yield Line(notice.settled_at, What.NOTICE, "Evergrant", f"the notice {name} was sent on its way", of)
    else:
        what = f"the notice {name} was not sent{because(notice.reason)}"
        yield Line(notice.settled_at, What.NOTICE, "Evergrant", what, of)


def _name(notice: Notice) -> str:
    match notice.kind:
        case NoticeKind.REAUTH_REQUIRED:
            return f"{notice.kind.value} (number {notice.number + 1})"
        case NoticeKind.GAP if {"since", "until"} <= notice.data.keys():
            missed = f"{notice.data['since']} to {notice.data['until']}"
            return f"{notice.kind.value} (Nylas does not send what came {missed}: more than 72 hours)"
        case _:
            return notice.kind.value


def _of_incident(notice: Notice) -> str:
    return f" (incident {notice.incident_id})" if notice.held_by is HeldBy.INCIDENT and notice.incident_id else ""


def _delivery(notice: Notice, delivery: Delivery, endpoint: Endpoint) -> Line:
    way = f"{notice.kind.value} to {shown(endpoint)}"
    answer = f" (answered {delivery.http_status})" if delivery.http_status else ""
    tries = f"{delivery.attempts} attempt" + ("" if delivery.attempts == 1 else "s")
    if delivery.settled_at is None:
        at = notice.settled_at or notice.created_at
        what = f"{way} is not delivered yet, after {tries}{answer}; due at {moment(delivery.due_at)}"
        what += because(delivery.reason)
    elif delivery.outcome is Outcome.DONE:
        at, what = delivery.settled_at, f"{way} was delivered, at {tries}{answer}"
    else:
        at = delivery.settled_at
        what = f"{way} was given up after {tries}{answer}{because(delivery.reason)}"
    return Line(at, What.DELIVERY, "Evergrant", what, str(delivery.id), request_id=None)


def shown(endpoint: Endpoint) -> str:
    """An endpoint as it may be shown: nobody's address, and of a URL neither its user nor its query."""
    if endpoint.url.startswith(MAIL):
        return named(endpoint)
    parts = urlsplit(endpoint.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _incident(incident: Incident) -> Iterator[Line]:
    of = str(incident.id)
    what = f"incident {of} was opened, and the notices about its grants are held: {incident.what}"
    yield Line(incident.opened_at, What.INCIDENT, "Evergrant", what, of)
    if incident.settled_at:
        what = f"incident {of} was closed{because(incident.reason)}"
        yield Line(incident.settled_at, What.INCIDENT, "Evergrant", what, of)
