"""Incidents: which are open, what they are about, which grants they explain; opened once, and closed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.incidents import FIRST_PROBE, NARROWEST_FIRST, OF_GRANTS, Scope
from models import MOOT, Grant, GrantData, HeldBy, Incident, Notice, NoticeData, NoticeKind, Outcome
from models.claims import close
from models.columns import new_id
from models.inserting import insert_new
from models.prepared import Prepared
from tasks.context import Context
from tasks.notices.storing import store

Given = BindParameter[Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """How the grants stand whose notices an incident held; those that were deleted are not counted."""

    recovered: int = 0
    failing: int = 0

    @property
    def grants(self) -> int:
        """How many they are."""
        return self.recovered + self.failing


async def open_incident(
    ctx: Context,
    session: AsyncSession,
    scope: Scope,
    subject: str,
    what: str,
    *,
    now: datetime,
    grants: int = 0,
    canary: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Incident | None:
    """Open an incident and tell the operator; None if one is open for this already."""
    incident = Incident(
        id=new_id(),
        application_id=ctx.application_id,
        scope=scope,
        subject=subject,
        what=what,
        opened_at=now,
        grants=grants,
        canary=canary,
        since=since,
        until=until,
        due_at=now + FIRST_PROBE,
    )
    if not await insert_new(session, Incident, [incident.model_dump()]):
        return None
    await store(session, [_notice(incident, NoticeKind.INCIDENT_OPENED, incident_facts(incident), now=now)])
    return await session.get_one(Incident, incident.id)


async def close_incident(session: AsyncSession, incident: Incident, reason: str, *, now: datetime) -> None:
    """Close an incident, and tell the operator how it ended. It must be locked, and hold no notice any more."""
    counted = await tally(session, incident)
    incident.grants = max(incident.grants, counted.grants)
    close(incident, Outcome.DONE, now=now, reason=reason)
    told = {
        "closed_at": now.isoformat(),
        "reason": reason,
        "recovered": counted.recovered,
        "still_failing": counted.failing,
    }
    await store(session, [_notice(incident, NoticeKind.INCIDENT_CLOSED, incident_facts(incident) | told, now=now)])


def incident_facts(incident: Incident) -> dict[str, Any]:
    """Return what notices about an incident tell of it."""
    return {
        "incident_id": str(incident.id),
        "scope": incident.scope.value,
        "subject": incident.subject,
        "what": incident.what,
        "grants": incident.grants,
        "opened_at": incident.opened_at.isoformat(),
    }


async def open_incidents(session: AsyncSession, ctx: Context, *scopes: Scope) -> list[Incident]:
    """Read the incidents that are open: all, or those of some scopes."""
    return list((await session.scalars(_open(ctx, *scopes))).all()) if await _is_any_open(session, ctx, *scopes) else []


async def the_open(session: AsyncSession, ctx: Context, scope: Scope, subject: str | None = None) -> Incident | None:
    """Read and lock the open incident of a subject, or of any subject of the scope."""
    wanted = _open(ctx, scope).limit(1).with_for_update()
    if subject is not None:
        wanted = wanted.where(col(Incident.subject) == subject)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def open_ones_of_grants(session: AsyncSession, ctx: Context) -> list[Incident]:
    """Read the open incidents that may hold notices, and keep them from being closed until this transaction ends.

    Else a notice could be held by an incident that nobody looks after any more.
    """
    if not await _is_any_open(session, ctx, *NARROWEST_FIRST):
        return []
    wanted = _open(ctx, *NARROWEST_FIRST).with_for_update(read=True)
    return list((await session.scalars(wanted.execution_options(populate_existing=True))).all())


def covering(incidents: Sequence[Incident], grant: GrantData) -> Incident | None:
    """Return the narrowest of the incidents that explains why a grant has expired, if one does."""
    if grant.status is not GrantStatus.EXPIRED or grant.expiry_seen_at is None:
        return None
    for scope in NARROWEST_FIRST:
        for incident in incidents:
            began = incident.since or incident.opened_at
            if (
                incident.scope is scope
                and subject_of(scope, grant.credential_id, grant.provider, grant.application_id) == incident.subject
                and grant.expiry_seen_at >= began
            ):
                return incident
    return None


def subject_of(scope: Scope, credential_id: str | None, provider: str, application_id: object) -> str | None:
    """Return the subject that an incident of this scope would have for a grant."""
    match scope:
        case Scope.CREDENTIAL:
            return credential_id
        case Scope.CONNECTOR:
            return provider
        case _:
            return str(application_id)


def cohort(scope: Scope, application_id: UUID | Given, subject: str | Given) -> ColumnElement[bool]:
    """The grants that share what an incident is about, in SQL."""
    ours = col(Grant.application_id) == application_id
    match scope:
        case Scope.CREDENTIAL:
            return ours & (col(Grant.credential_id) == subject)
        case Scope.CONNECTOR:
            return ours & (col(Grant.provider) == subject)
        case _:
            return ours


def its_grants(ctx: Context, incident: Incident) -> ColumnElement[bool]:
    """The grants that an incident explains, in SQL: those that `covering` knows, and those whose notices it holds."""
    held = exists().where(col(Notice.grant_id) == col(Grant.id), holds(incident))
    began = incident.since or incident.opened_at
    covered = cohort(incident.scope, ctx.application_id, incident.subject) & (col(Grant.expiry_seen_at) >= began)
    return (col(Grant.status) == GrantStatus.EXPIRED) & (covered | held)


def holds(incident: Incident) -> ColumnElement[bool]:
    """The notices that an incident holds back, in SQL."""
    return (
        (col(Notice.incident_id) == incident.id)
        & (col(Notice.held_by) == HeldBy.INCIDENT)
        & col(Notice.settled_at).is_(None)
    )


async def tally(session: AsyncSession, incident: Incident) -> Tally:
    """Count how the grants of an incident stand."""
    if incident.scope not in OF_GRANTS:
        return Tally()
    of_it = (col(Notice.incident_id) == incident.id) & col(Notice.kind).in_(MOOT)
    counted = (
        select(col(Grant.status), func.count(func.distinct(col(Grant.id))))
        .join(Notice, col(Notice.grant_id) == col(Grant.id))
        .where(of_it)
        .group_by(col(Grant.status))
    )
    by_status: dict[GrantStatus, int] = {row[0]: row[1] for row in await session.execute(counted)}
    return Tally(
        recovered=by_status.get(GrantStatus.VALID, 0) + by_status.get(GrantStatus.SUSPECT, 0),
        failing=by_status.get(GrantStatus.EXPIRED, 0),
    )


async def _is_any_open(session: AsyncSession, ctx: Context, *scopes: Scope) -> bool:
    """Nearly always none is, and each look asks."""
    return bool(await _first_open(ctx.application_id, scopes).rows(session, {}))


@lru_cache(64)
def _first_open(application_id: UUID, scopes: tuple[Scope, ...]) -> Prepared:
    return Prepared(_open_of(application_id, scopes).with_only_columns(col(Incident.id)).limit(1))


def _open(ctx: Context, *scopes: Scope) -> Any:
    return _open_of(ctx.application_id, scopes)


@lru_cache(64)
def _open_of(application_id: UUID, scopes: tuple[Scope, ...]) -> Any:
    """Made once: see models.bulk."""
    wanted = select(Incident).where(col(Incident.application_id) == application_id, col(Incident.settled_at).is_(None))
    if scopes:
        wanted = wanted.where(col(Incident.scope).in_(scopes))
    return wanted.order_by(col(Incident.opened_at), col(Incident.id))


def _notice(incident: Incident, kind: NoticeKind, data: dict[str, Any], *, now: datetime) -> NoticeData:
    return NoticeData(
        application_id=incident.application_id,
        kind=kind,
        incident_id=incident.id,
        data=data,
        occurred_at=now,
        created_at=now,
        due_at=now,
    )
