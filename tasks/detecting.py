"""One cause, one incident: many grants that fail together are held back from their users, and told of once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, Integer, bindparam, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus, Spell
from lifecycle.incidents import NARROWEST_FIRST, OF_GRANTS, Scope, have_one_cause, most_with_one_cause
from lifecycle.tidings import Step, Tiding
from models import MOOT, Grant, GrantData, HeldBy, Incident, Notice, TransitionData
from models.prepared import Prepared
from tasks.context import Context
from tasks.counting import ALIVE, count_to
from tasks.incidents import Given, cohort, covering, open_incident, open_ones_of_grants, subject_of, the_open
from tasks.telling import News


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a grant has come by a look: what is to be told of it, if anything."""

    grant: GrantData
    tiding: Tiding | None
    spell: Spell | None
    change: TransitionData | None


async def explained(ctx: Context, session: AsyncSession, steps: Sequence[Progress], *, now: datetime) -> list[News]:
    """Turn progress into news, each with the open incident that explains it; opens one where many fail together."""
    told = [(step, step.tiding) for step in steps if step.tiding]
    if not told:
        return []
    may_be = any(step.grant.status is GrantStatus.EXPIRED for step, _ in told)
    open_ones = await open_ones_of_grants(session, ctx) if may_be else []
    # Who is explained already is no sign of another cause, and all that failed lately are many in a mass expiry.
    if any(tiding.step is Step.PLAN and not covering(open_ones, step.grant) for step, tiding in told):
        open_ones += await _detect(ctx, session, open_ones, now=now)
    return [News(step.grant, tiding, step.spell, step.change, covering(open_ones, step.grant)) for step, tiding in told]


async def _detect(
    ctx: Context, session: AsyncSession, open_ones: Sequence[Incident], *, now: datetime
) -> list[Incident]:
    """Look for what the grants that failed lately have in common; hold their notices if it is one cause."""
    since = now - ctx.policy.thresholds.window
    ours = (ctx.application_id, GrantStatus.EXPIRED)
    groups = await _groups().rows(session, {"since": since})
    failed = [group[2:] for group in groups if group[:2] == ours]
    opened: list[Incident] = []
    for scope in NARROWEST_FIRST:
        counted: Counter[str] = Counter()
        for credential, provider, number in failed:
            subject = subject_of(scope, credential, provider, ctx.application_id)
            if subject and not _is_covered(ctx, [*open_ones, *opened], credential, provider):
                counted[subject] += number
        for subject, number in sorted(counted.items()):
            if await _is_one_cause(ctx, session, scope, subject, number):
                incident = await _open(ctx, session, scope, subject, number, since, now=now)
                opened += [incident] if incident else []
    return opened


@cache
def _groups() -> Prepared:
    """Of all applications, and however they stand: else SQLite would go through all grants of an application.

    So it goes by when they were seen to expire, which few were lately.
    """
    of = (col(Grant.application_id), col(Grant.status), col(Grant.credential_id), col(Grant.provider))
    return Prepared(select(*of, func.count()).where(_failed_lately(bindparam("since"))).group_by(*of))


def _failed_lately(since: datetime | Given) -> ColumnElement[bool]:
    """In SQL: seen to expire since then; neither when we met them, nor in an incident that was closed since.

    Seldom was one closed, and to ask that first, once, saves asking for the notices of each grant.
    """
    closed_since = exists().where(col(Incident.settled_at) >= since)
    explained_already = exists().where(
        col(Notice.grant_id) == col(Grant.id),
        col(Notice.incident_id) == col(Incident.id),
        col(Incident.settled_at) >= col(Grant.expiry_seen_at),
    )
    return (
        (col(Grant.expiry_seen_at) >= since)
        & (col(Grant.first_seen_at) < col(Grant.expiry_seen_at))
        & ~(closed_since & explained_already)
    )


async def _is_one_cause(ctx: Context, session: AsyncSession, scope: Scope, subject: str, failed: int) -> bool:
    limits = ctx.policy.thresholds
    if failed < limits.handful or failed >= limits.number:  # then the size of the cohort doesn't matter
        return have_one_cause(failed, failed, limits)
    given = {"application": ctx.application_id, "subject": subject, "most": most_with_one_cause(failed, limits) + 1}
    [alive] = await _alive(scope).firsts(session, given)
    return have_one_cause(failed, alive, limits)


@cache
def _alive(scope: Scope) -> Prepared:
    """How many share a subject and are not deleted; no more are counted than would make a difference."""
    those = cohort(scope, bindparam("application"), bindparam("subject"))
    return Prepared(select(count_to(bindparam("most", type_=Integer()), those, *ALIVE)))


async def _open(
    ctx: Context,
    session: AsyncSession,
    scope: Scope,
    subject: str,
    failed: int,
    since: datetime,
    *,
    now: datetime,
) -> Incident | None:
    """Open an incident, or find the one that another worker has opened meanwhile; hold what is not told yet."""
    minutes = int(ctx.policy.thresholds.window.total_seconds() // 60)
    whose = {Scope.CREDENTIAL: f"the credential {subject}", Scope.CONNECTOR: f"the {subject} connector"}
    what = f"{failed} grants of {whose.get(scope, 'the application')} expired within {minutes} minutes"
    expired = (col(Grant.status) == GrantStatus.EXPIRED) & _failed_lately(since)
    failing = cohort(scope, ctx.application_id, subject) & expired
    canary = select(col(Grant.id)).where(failing).order_by(col(Grant.expiry_seen_at).desc(), col(Grant.id)).limit(1)
    incident = await open_incident(
        ctx,
        session,
        scope,
        subject,
        what,
        now=now,
        grants=failed,
        canary=await session.scalar(canary),
        since=await _began(ctx, session, failing, since),
    ) or await the_open(session, ctx, scope, subject)
    if incident:
        hold = (
            update(Notice)
            .where(
                col(Notice.grant_id).in_(select(col(Grant.id)).where(failing)),
                col(Notice.kind).in_(MOOT),
                col(Notice.settled_at).is_(None),
                col(Notice.held_by).is_(None) | col(Notice.held_by).in_((HeldBy.CONFIRMATION, HeldBy.BRAKE)),
            )
            .values(held_by=HeldBy.INCIDENT, incident_id=incident.id)
        )
        await session.execute(hold.execution_options(synchronize_session=False))
    return incident


async def _began(ctx: Context, session: AsyncSession, failing: ColumnElement[bool], since: datetime) -> datetime:
    """Say from when on a grant that was seen to expire belongs to an incident that opens now.

    Not from the first that is known here: of looks that go side by side, what was seen first may be written down last.
    So from `since` on, where the window begins; or from where another incident was closed, if none failed before that.
    """
    first = await session.scalar(select(func.min(col(Grant.expiry_seen_at))).where(failing))
    closed = await session.scalar(
        select(func.max(col(Incident.settled_at))).where(
            col(Incident.application_id) == ctx.application_id,
            col(Incident.scope).in_(OF_GRANTS),
            col(Incident.settled_at) >= since,
        )
    )
    return min(first or since, closed or since)


def _is_covered(ctx: Context, incidents: Sequence[Incident], credential: str | None, provider: str) -> bool:
    return any(subject_of(one.scope, credential, provider, ctx.application_id) == one.subject for one in incidents)
