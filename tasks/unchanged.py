"""Grants that a page of Nylas' list shows as we know them: all that is new of them is when we looked."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import Grant
from models.among import among
from tasks.looking import Look

KNOWN = (
    *("id", "status", "blocked", "as_of", "expired_at", "quarantined"),
    *("provider", "email", "name", "provider_user_id", "scope", "credential_id", "created_at", "authenticated_at"),
)


async def note_unchanged(session: AsyncSession, looks: Sequence[Look]) -> set[str]:
    """Write down that healthy grants were seen as they were, in one statement; return which these are.

    A page of two hundred would else cost two hundred updates. All rows of the looks are locked from here on.
    """
    ids = [look.grant_id for look in looks]
    columns = [getattr(Grant, name) for name in KNOWN]
    wanted = select(*columns).where(among(col(Grant.id), ids)).order_by(col(Grant.id)).with_for_update()
    stored = {row.id: row for row in await session.execute(wanted)}
    same = [look for look in looks if look.grant_id in stored and _is_same(stored[look.grant_id], look)]
    for at in {look.observation.at for look in same}:
        seen = [look.grant_id for look in same if look.observation.at == at]
        later = {"as_of": at, "version": col(Grant.version) + 1}
        touch = update(Grant).where(among(col(Grant.id), seen)).values(later)
        await session.execute(touch.execution_options(synchronize_session=False))
    return {look.grant_id for look in same}


def _is_same(stored: Any, look: Look) -> bool:
    """Tell whether recording the look would change nothing but its time."""
    told, seen = look.record, look.observation
    return (
        told is not None
        and seen.status is stored.status is GrantStatus.VALID
        and seen.at >= stored.as_of
        and seen.blocked == stored.blocked
        and stored.expired_at is None
        and stored.quarantined is None
        and told.provider == stored.provider
        and told.created_at == stored.created_at
        and (told.email or stored.email) == stored.email
        and (told.name or stored.name) == stored.name
        and (told.provider_user_id or stored.provider_user_id) == stored.provider_user_id
        and (list(told.scope) or stored.scope) == stored.scope
        and (told.credential_id or stored.credential_id) == stored.credential_id
        and (told.updated_at or stored.authenticated_at) == stored.authenticated_at
    )
