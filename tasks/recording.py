"""The one place where a grant's row changes: what was seen, decided by the rules, written with its history."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import Change, GrantStatus, decide, doubt
from models import Grant, Transition
from models.inbox import insert_or_ignore
from nylas_api import NylasGrant
from tasks.looking import Look


@dataclass(frozen=True, slots=True)
class Cause:
    """What brought a change about: the kind of the event or work, and its row."""

    kind: str
    event_id: UUID | None = None
    item_id: UUID | None = None


async def lock_grants(session: AsyncSession, ids: list[str]) -> dict[str, Grant]:
    """Read grants for writing, in the order of their ids, so that two workers never wait for each other in a ring."""
    wanted = select(Grant).where(col(Grant.id).in_(ids)).order_by(col(Grant.id)).with_for_update()
    found = await session.scalars(wanted.execution_options(populate_existing=True))
    return {grant.id: grant for grant in found}


async def record(
    session: AsyncSession, application_id: UUID, looks: Mapping[str, tuple[Look, Cause]], *, now: datetime
) -> dict[str, Transition]:
    """Write down what was seen of grants, known or not; return the changes that this made, by grant id."""
    changes: dict[str, Transition] = {}
    held = await lock_grants(session, list(looks))
    strangers = [look for look, _ in looks.values() if look.record and look.grant_id not in held]
    if strangers:
        adopted = await _adopt(session, application_id, strangers, now=now)
        for grant_id in adopted:
            look, cause = looks[grant_id]
            change = decide(None, look.observation)
            assert change is not None
            changes[grant_id] = _remember(session, grant_id, change, look, cause, now=now)
        # Somebody else may have adopted the others in the same moment.
        held |= await lock_grants(session, [look.grant_id for look in strangers if look.grant_id not in adopted])
    for grant_id, grant in sorted(held.items()):
        look, cause = looks[grant_id]
        if look.observation.at < grant.as_of:
            continue
        change = decide(grant.standing, look.observation)
        if grant.status is not GrantStatus.DELETED:
            grant.as_of = look.observation.at
            _take_facts(grant, look.record)
        if change:
            grant.follow(change)
            grant.expired_at = _expired_at(grant, change, now)
            changes[grant_id] = _remember(session, grant_id, change, look, cause, now=now)
    await session.flush()
    return changes


async def suspect(
    session: AsyncSession, hints: Mapping[str, tuple[datetime, Cause]], *, now: datetime
) -> dict[str, Transition]:
    """Mark grants that something says are dead, while Nylas can't be asked."""
    changes: dict[str, Transition] = {}
    for grant_id, grant in (await lock_grants(session, list(hints))).items():
        hinted_at, cause = hints[grant_id]
        if change := doubt(grant.standing, hinted_at):
            grant.follow(change)
            changes[grant_id] = _remember(session, grant_id, change, None, cause, now=now)
    await session.flush()
    return changes


async def _adopt(session: AsyncSession, application_id: UUID, looks: list[Look], *, now: datetime) -> set[str]:
    rows = []
    for look in sorted(looks, key=lambda look: look.grant_id):
        assert look.record is not None
        grant = Grant(
            id=look.grant_id,
            application_id=application_id,
            provider=look.record.provider,
            status=look.observation.status,
            blocked=look.observation.blocked,
            as_of=look.observation.at,
            first_seen_at=now,
            expired_at=now if look.observation.status is GrantStatus.EXPIRED else None,
            version=1,
        )
        _take_facts(grant, look.record)
        rows.append(grant.model_dump())
    stored = await session.execute(insert_or_ignore(session, Grant).returning(Grant.id), rows)
    return set(stored.scalars().all())


def _take_facts(grant: Grant, record: NylasGrant | None) -> None:
    """Copy what Nylas told; what it left out is kept, since most of its fields may be missing."""
    if record is None:
        return
    grant.provider = record.provider
    grant.email = record.email or grant.email
    grant.name = record.name or grant.name
    grant.provider_user_id = record.provider_user_id or grant.provider_user_id
    grant.scope = list(record.scope) or grant.scope
    grant.credential_id = record.credential_id or grant.credential_id
    grant.created_at = record.created_at
    grant.authenticated_at = record.updated_at or grant.authenticated_at


def _expired_at(grant: Grant, change: Change, now: datetime) -> datetime | None:
    if change.new.status is GrantStatus.VALID:
        return None
    return grant.expired_at or (now if change.new.status is GrantStatus.EXPIRED else None)


def _remember(
    session: AsyncSession, grant_id: str, change: Change, look: Look | None, cause: Cause, *, now: datetime
) -> Transition:
    transition = Transition.of(grant_id, change, at=now, cause=cause.kind)
    transition.event_id, transition.item_id = cause.event_id, cause.item_id
    transition.request_id = look.request_id if look else None
    session.add(transition)
    return transition


def in_words(transition: Transition | None, look: Look) -> str:
    """Say in plain words what a look led to."""
    stands = look.observation.status.value
    if transition is None:
        return f"Nylas has no such grant ({stands})" if look.record is None else f"Nylas says {stands}: no change"
    return f"{transition.old_status.value if transition.old_status else 'unknown'} → {transition.new_status.value}"
