"""The one place where a grant's row changes: what was seen, decided by the rules, written with its history."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from lifecycle import Change, GrantStatus, decide, doubt
from lifecycle.course import Course, move_on
from lifecycle.identity import mismatch
from lifecycle.tidings import Step
from models import Grant, GrantData, Transition, TransitionData
from models.bulk import read_grants, write_changes
from models.inserting import insert_new
from nylas_api import NylasGrant
from tasks.brakes import braked_flips
from tasks.context import Context
from tasks.detecting import Progress, explained
from tasks.holding import release_confirmed
from tasks.identities import judge, of_grant, of_record
from tasks.looking import Look
from tasks.telling import tell


@dataclass(frozen=True, slots=True)
class Cause:
    """What brought a look about: the kind of the event or work, and its row.

    `expired_at` is what Nylas said of the time of an expiry. While all grants are imported for the first time,
    `importing`, nobody is told of what had been so before.
    """

    kind: str
    event_id: UUID | None = None
    item_id: UUID | None = None
    expired_at: datetime | None = None
    importing: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a look made of the grants: the changes by grant id, and those that the brake kept from being written."""

    changes: Mapping[str, TransitionData]
    braked: frozenset[str] = frozenset()


async def record(ctx: Context, session: AsyncSession, looks: Mapping[str, tuple[Look, Cause]]) -> Recorded:
    """Write down what was seen of grants, known or not, and what is to be told of it, in one transaction.

    History bears the moment in which the grants are held: whoever held them before has written an earlier one.
    """
    known = await read_grants(session, looks, to_change=True)
    strangers = [look for look, _ in looks.values() if look.record and look.grant_id not in known]
    adopted = await _adopt(session, ctx.application_id, strangers, now=ctx.now()) if strangers else {}
    # Somebody else may have adopted the others in the same moment.
    late = [look.grant_id for look in strangers if look.grant_id not in adopted]
    known |= adopted | await read_grants(session, late, to_change=True)
    now = ctx.now()
    braked = await braked_flips(
        ctx, session, [known[id] for id in looks if id in known and _flips(known[id], looks[id][0])]
    )
    apart = await judge(ctx, session, [look for look, _ in looks.values()], known, adopted, now=now)
    changes: dict[str, TransitionData] = {}
    steps: list[Progress] = []
    for grant_id, grant in sorted(known.items()):
        look, cause = looks[grant_id]
        new = grant_id in adopted
        if grant_id in braked or (look.observation.at < grant.as_of and not new):
            continue
        was = None if new else grant.status
        _set(grant, quarantined=apart.get(grant_id, grant.quarantined))
        change = decide(None if new else grant.standing, look.observation)
        if grant.status is not GrantStatus.DELETED or new:
            grant.as_of = look.observation.at
            _take_facts(grant, look.record)
        if change:
            grant.follow(change)
            changes[grant_id] = _remembered(grant_id, change, look, cause, now=now)
        if was is not GrantStatus.DELETED:
            steps.append(_progress(ctx, grant, look, cause, was, changes.get(grant_id)))
    if any(step.tiding and step.tiding.step is Step.PLAN for step in steps):
        await write_changes(session, list(known.values()))  # those that failed are counted
    with session.no_autoflush:  # what became of the work itself is written by who holds it, at the end
        await _store(session, changes.values())
        await tell(ctx, session, await explained(ctx, session, steps, now=now), now=now)
        await write_changes(session, list(known.values()))  # those of which nothing is told
        await release_confirmed(session, [step.grant for step in steps if step.tiding is None])
    return Recorded(changes, braked)


def _flips(grant: GrantData, look: Look) -> bool:
    return look.observation.status is GrantStatus.EXPIRED and grant.status in (GrantStatus.VALID, GrantStatus.SUSPECT)


def _progress(
    ctx: Context, grant: GrantData, look: Look, cause: Cause, was: GrantStatus | None, change: TransitionData | None
) -> Progress:
    """Let a grant move on in its course, and say what that leads to."""
    before = grant.spell
    course, step = move_on(
        Course(before, grant.flaps, grant.recovered_at),
        look.observation,
        was=was,
        grace=ctx.policy.grace,
        expired_at=cause.expired_at,
        authenticated_at=grant.authenticated_at,
        importing=cause.importing,
    )
    _set(grant, flaps=course.flaps, recovered_at=course.recovered_at)
    grant.take(course.spell)
    return Progress(grant, step, course.spell or before, change)


async def suspect(
    ctx: Context, session: AsyncSession, hints: Mapping[str, tuple[datetime, Cause]]
) -> dict[str, TransitionData]:
    """Mark grants that something says are dead, while Nylas can't be asked."""
    changes: dict[str, TransitionData] = {}
    doubted = await read_grants(session, hints, to_change=True)
    now = ctx.now()
    for grant_id, grant in doubted.items():
        hinted_at, cause = hints[grant_id]
        if change := doubt(grant.standing, hinted_at):
            grant.follow(change)
            changes[grant_id] = _remembered(grant_id, change, None, cause, now=now)
    await _store(session, changes.values())
    await write_changes(session, list(doubted.values()))
    return changes


async def _adopt(
    session: AsyncSession, application_id: UUID, looks: list[Look], *, now: datetime
) -> dict[str, GrantData]:
    grants: dict[str, GrantData] = {}
    for look in sorted(looks, key=lambda look: look.grant_id):
        assert look.record is not None
        grant = GrantData(
            id=look.grant_id,
            application_id=application_id,
            provider=look.record.provider,
            status=look.observation.status,
            blocked=look.observation.blocked,
            as_of=look.observation.at,
            first_seen_at=now,
            version=1,
        )
        _take_facts(grant, look.record)
        grants[grant.id] = grant
    rows = [grant.columns() for grant in grants.values()]
    new = await insert_new(session, Grant, rows)
    return {grant_id: GrantData.read(grants[grant_id].columns()) for grant_id in new}


def _take_facts(grant: GrantData, record: NylasGrant | None) -> None:
    """Copy what Nylas told; what it left out is kept, since most of its fields may be missing.

    A grant in quarantine stays known as whose it was, until an admin has accepted whose it is now.
    """
    if record is None:
        return
    if not (grant.quarantined and mismatch(of_grant(grant), of_record(record))):
        _set(
            grant,
            provider=record.provider,
            email=record.email or grant.email,
            name=record.name or grant.name,
            provider_user_id=record.provider_user_id or grant.provider_user_id,
        )
    _set(
        grant,
        scope=list(record.scope) or grant.scope,
        credential_id=record.credential_id or grant.credential_id,
        created_at=record.created_at,
        authenticated_at=record.updated_at or grant.authenticated_at,
    )


def _set(grant: GrantData, **values: object) -> None:
    """Set what differs, so that nothing else is written."""
    for name, value in values.items():
        if getattr(grant, name) != value:
            setattr(grant, name, value)


def _remembered(grant_id: str, change: Change, look: Look | None, cause: Cause, *, now: datetime) -> TransitionData:
    transition = TransitionData.of(grant_id, change, at=now, cause=cause.kind)
    transition.event_id, transition.item_id = cause.event_id, cause.item_id
    transition.request_id = look.request_id if look else None
    return transition


async def _store(session: AsyncSession, changes: Collection[TransitionData]) -> None:
    """Write history down, before the notices that rest on it."""
    await insert_new(session, Transition, [change.columns() for change in changes])


def in_words(transition: TransitionData | None, look: Look) -> str:
    """Say in plain words what a look led to."""
    stands = look.observation.status.value
    if transition is None:
        return f"Nylas has no such grant ({stands})" if look.record is None else f"Nylas says {stands}: no change"
    return f"{transition.old_status.value if transition.old_status else 'unknown'} → {transition.new_status.value}"
