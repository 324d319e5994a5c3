"""The commands that show grants."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlmodel import col

from ingress.terminal import fail, put_json, put_table, say
from lifecycle import GrantStatus
from lifecycle.scopes import missing
from models import Grant
from tasks.connectors import known_connectors
from tasks.scopes import a_scope, lacks
from worker.runtime import Runtime


def flat(grant: Grant) -> dict[str, Any]:
    """A grant as a flat object."""
    return {
        "grant_id": grant.id,
        "email": grant.email,
        "provider": grant.provider,
        "status": grant.status.value,
        "blocked": grant.blocked,
        "as_of": _iso(grant.as_of),
        "authenticated_at": _iso(grant.authenticated_at),
        "expired_at": _iso(grant.expired_at),
        "created_at": _iso(grant.created_at),
        "credential_id": grant.credential_id,
        "scope": " ".join(grant.scope),
    }


async def list_grants(
    runtime: Runtime, filters: Mapping[str, str | None], *, after: str | None, limit: int, as_json: bool
) -> None:
    """Print grants by their ids, and say if there are more. The filters are `status`, `provider`, `missing_scope`."""
    wanted = select(Grant).where(col(Grant.application_id) == runtime.application.id)
    if after:
        wanted = wanted.where(col(Grant.id) > after)
    if status := filters["status"]:
        wanted = wanted.where(col(Grant.status) == status)
    if provider := filters["provider"]:
        wanted = wanted.where(col(Grant.provider) == provider)
    if scope := filters["missing_scope"]:
        try:
            lacking = lacks(runtime.application.id, a_scope(scope))
        except ValueError as error:
            fail(f"--missing-scope: {error}", code=2)
        wanted = wanted.where(lacking, col(Grant.status) != GrantStatus.DELETED)
    async with runtime.context.database.reading() as session:
        found = (await session.scalars(wanted.order_by(col(Grant.id)).limit(limit + 1))).all()
    grants = found[:limit]
    if as_json:
        put_json([flat(grant) for grant in grants])
    else:
        columns = ("grant_id", "email", "provider", "status", "as_of", "expired_at")
        put_table(
            None,
            columns,
            ((grant.id, grant.email, grant.provider, grant.status, grant.as_of, grant.expired_at) for grant in grants),
        )
    if len(found) > limit:
        say(f"There are more than these {limit}: go on with --after {grants[-1].id}.")


async def show_grant(runtime: Runtime, name: str, *, as_json: bool) -> None:
    """Print one grant, with what it lacks of the scopes that its connector asks for (None: no connector is known)."""
    grant = await find_grant(runtime, name)
    async with runtime.context.database.reading() as session:
        connector = (await known_connectors(runtime.context, session)).get(grant.provider)
    short_of = missing(connector.scope, grant.scope, provider=grant.provider) if connector else None
    shown = flat(grant) | {"missing_scope": None if short_of is None else " ".join(short_of)}
    if as_json:
        put_json(shown)
    else:
        put_table(None, ("field", "value"), shown.items())


async def find_grant(runtime: Runtime, name: str) -> Grant:
    """Find a grant by its id or its email address; exits where there is none, or more than one."""
    by_name = or_(col(Grant.id) == name, func.lower(col(Grant.email)) == name.lower())
    async with runtime.context.database.reading() as session:
        wanted = select(Grant).where(col(Grant.application_id) == runtime.application.id, by_name)
        found = (await session.scalars(wanted.order_by(col(Grant.first_seen_at).desc()).limit(10))).all()
    alive = [grant for grant in found if grant.status is not GrantStatus.DELETED] or found
    if not alive:
        fail(f"No grant has the id or the email address {name!r}. (evergrant sync imports what Nylas has)")
    if len(alive) > 1:
        fail(f"{name!r} names several grants: {', '.join(grant.id for grant in alive)}")
    return alive[0]


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
