"""One cause, one incident: many grants that fail together are held back from their users, and told of once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus, Spell
from lifecycle.incidents import NARROWEST_FIRST, Scope, have_one_cause
from lifecycle.tidings import Step, Tiding
from models import Grant, HeldBy, Incident, Notice, NoticeKind, Transition
from models.columns import new_id
from models.inbox import insert_or_ignore
from tasks.context import Context
from tasks.telling import MOOT, News, store

PROBE_EVERY = timedelta(minutes=1)
OF_GRANTS = frozenset(NARROWEST_FIRST)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a grant has come by a look: what is to be told of it, if anything."""

    grant: Grant
    tiding: Tiding | None
    spell: Spell | None
    change: Transition | None


async def explained(ctx: Context, session: AsyncSession, steps: Sequence[Progress], *, now: datetime) -> list[News]:
    """Turn progress into news, each with the open incident that explains it; opens one where many fail together."""
    told = [(step, step.tiding) for step in steps if step.tiding]
    if not told:
        return []
    open_ones = await open_incidents(session, ctx)
    if any(tiding.step is Step.PLAN for _, tiding in told):
        open_ones += await _detect(ctx, session, open_ones, now=now)
    return [News(step.grant, tiding, step.spell, step.change, covering(open_ones, step.grant)) for step, tiding in told]


async def open_incidents(session: AsyncSession, ctx: Context) -> list[Incident]:
    """Read the incidents that are open."""
    wanted = select(Incident).where(
        col(Incident.application_id) == ctx.application_id, col(Incident.settled_at).is_(None)
    )
    return list((await session.scalars(wanted.order_by(col(Incident.opened_at)))).all())


def covering(incidents: Sequence[Incident], grant: Grant) -> Incident | None:
    """Return the narrowest of the incidents that a grant is part of, if it is expired."""
    if grant.status is not GrantStatus.EXPIRED:
        return None
    for scope in NARROWEST_FIRST:
        for incident in incidents:
            if incident.scope is scope and _subject(scope, grant) == incident.subject:
                return incident
    return None


def cohort(ctx: Context, scope: Scope, subject: str) -> ColumnElement[bool]:
    """The grants that share what an incident is about, in SQL."""
    ours = col(Grant.application_id) == ctx.application_id
    match scope:
        case Scope.CREDENTIAL:
            return ours & (col(Grant.credential_id) == subject)
        case Scope.CONNECTOR:
            return ours & (col(Grant.provider) == subject)
        case _:
            return ours


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
        due_at=now + PROBE_EVERY,
    )
    stored = await session.execute(insert_or_ignore(session, Incident).returning(Incident.id), [incident.model_dump()])
    if not stored.scalars().all():
        return None
    notice = Notice(
        application_id=ctx.application_id,
        kind=NoticeKind.INCIDENT_OPENED,
        incident_id=incident.id,
        data=incident_facts(incident),
        occurred_at=now,
        created_at=now,
        due_at=now,
    )
    await store(session, [notice])
    return await session.get_one(Incident, incident.id)


def incident_facts(incident: Incident) -> dict[str, object]:
    """Return what notices about an incident tell of it."""
    return {
        "incident_id": str(incident.id),
        "scope": incident.scope.value,
        "subject": incident.subject,
        "what": incident.what,
        "grants": incident.grants,
        "opened_at": incident.opened_at.isoformat(),
    }


async def _detect(
    ctx: Context, session: AsyncSession, open_ones: Sequence[Incident], *, now: datetime
) -> list[Incident]:
    """Look for what the grants that failed lately have in common; hold their notices if it is one cause."""
    lately = now - ctx.policy.thresholds.window
    wanted = (
        select(col(Grant.credential_id), col(Grant.provider), func.count())
        .where(
            col(Grant.application_id) == ctx.application_id,
            col(Grant.status) == GrantStatus.EXPIRED,
            col(Grant.expiry_seen_at) >= lately,
            col(Grant.confirm_at) > col(Grant.expiry_seen_at),  # those of a first import were expired before
        )
        .group_by(col(Grant.credential_id), col(Grant.provider))
    )
    failed = [(credential, provider, number) for credential, provider, number in await session.execute(wanted)]
    opened: list[Incident] = []
    for scope in NARROWEST_FIRST:
        counted: Counter[str] = Counter()
        for credential, provider, number in failed:
            subject = {Scope.CREDENTIAL: credential, Scope.CONNECTOR: provider}.get(scope, str(ctx.application_id))
            if subject and not _covered([*open_ones, *opened], credential, provider, ctx):
                counted[subject] += number
        for subject, number in counted.items():
            if await _is_one_cause(ctx, session, scope, subject, number):
                incident = await _open(ctx, session, scope, subject, number, lately, now=now)
                opened += [incident] if incident else []
    return opened


async def _is_one_cause(ctx: Context, session: AsyncSession, scope: Scope, subject: str, failed: int) -> bool:
    limits = ctx.policy.thresholds
    if failed < limits.handful or failed >= limits.number:
        return have_one_cause(failed, failed, limits)
    alive = select(func.count()).where(cohort(ctx, scope, subject), col(Grant.status) != GrantStatus.DELETED)
    return have_one_cause(failed, await session.scalar(alive) or 0, limits)


async def _open(
    ctx: Context, session: AsyncSession, scope: Scope, subject: str, failed: int, lately: datetime, *, now: datetime
) -> Incident | None:
    minutes = int(ctx.policy.thresholds.window.total_seconds() // 60)
    whose = {Scope.CREDENTIAL: f"the credential {subject}", Scope.CONNECTOR: f"the {subject} connector"}
    what = f"{failed} grants of {whose.get(scope, 'the application')} expired within {minutes} minutes"
    failing = select(col(Grant.id)).where(
        cohort(ctx, scope, subject), col(Grant.status) == GrantStatus.EXPIRED, col(Grant.expiry_seen_at) >= lately
    )
    canary = await session.scalar(failing.order_by(col(Grant.expiry_seen_at).desc(), col(Grant.id)).limit(1))
    incident = await open_incident(
        ctx, session, scope, subject, what, now=now, grants=failed, canary=canary, since=lately
    )
    if incident:
        hold = (
            update(Notice)
            .where(
                col(Notice.grant_id).in_(failing),
                col(Notice.kind).in_(MOOT),
                col(Notice.settled_at).is_(None),
                col(Notice.held_by).is_(None) | (col(Notice.held_by) == HeldBy.CONFIRMATION),
            )
            .values(held_by=HeldBy.INCIDENT, incident_id=incident.id)
        )
        await session.execute(hold.execution_options(synchronize_session=False))
    return incident


def _covered(incidents: Sequence[Incident], credential: str | None, provider: str, ctx: Context) -> bool:
    subjects = {
        Scope.CREDENTIAL: credential,
        Scope.CONNECTOR: provider,
        Scope.APPLICATION: str(ctx.application_id),
    }
    return any(one.scope in OF_GRANTS and subjects[one.scope] == one.subject for one in incidents)


def _subject(scope: Scope, grant: Grant) -> str | None:
    match scope:
        case Scope.CREDENTIAL:
            return grant.credential_id
        case Scope.CONNECTOR:
            return grant.provider
        case _:
            return str(grant.application_id)
