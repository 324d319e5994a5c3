"""The commands that make, list and revoke tokens of the API."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.api.scopes import TokenScope
from ingress.terminal import agree, fail, out, put_json, put_table, say
from models import ApiToken
from models.auth_session import digest
from models.columns import new_id
from worker.runtime import Runtime

PREFIX = "evergrant_"


async def create_token(
    runtime: Runtime, name: str, *, scopes: Sequence[TokenScope], days: int | None, as_json: bool
) -> None:
    """Make a token and print it, once: only its hash is kept. Exits with 2 if there is one of that name."""
    context, now = runtime.context, runtime.context.now()
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        id=new_id(),
        application_id=context.application_id,
        name=name,
        token_hash=digest(token),
        scopes=[scope.value for scope in TokenScope if scope in scopes],
        created_at=now,
        expires_at=now + timedelta(days=days) if days else None,
    )
    async with context.database.writing() as session:
        if any(other.name == name and is_good(other, runtime) for other in await _tokens(session, runtime)):
            fail(f"There is a token {name!r} already: choose another name, or revoke that one first.", code=2)
        session.add(row)
    until = f"until {row.expires_at:%Y-%m-%d %H:%M} UTC" if row.expires_at else "until it is revoked"
    say(f"Token {name} may {' and '.join(row.scopes)}, {until}. Keep it safe: it is shown only now.")
    if as_json:
        put_json(flat(row, runtime) | {"token": token})
    else:
        out.print(token, markup=False, soft_wrap=True)


async def list_tokens(runtime: Runtime, *, as_json: bool) -> None:
    """Print all tokens, without what they were made of."""
    async with runtime.context.database.reading() as session:
        tokens = await _tokens(session, runtime)
    if as_json:
        put_json([flat(token, runtime) for token in tokens])
        return
    columns = ("token_id", "name", "state", "scopes", "created_at", "expires_at", "last_used_at")
    rows = [
        (t.id, t.name, _state(t, runtime), " ".join(t.scopes), t.created_at, t.expires_at, t.last_used_at)
        for t in tokens
    ]
    put_table(None, columns, rows)


async def revoke_token(runtime: Runtime, name: str, *, yes: bool) -> None:
    """Revoke a token, by its id or its name: its next call is refused."""
    async with runtime.context.database.reading() as session:
        named = [token for token in await _tokens(session, runtime) if name in (token.name, str(token.id))]
    good = [token for token in named if is_good(token, runtime)]
    if not named:
        fail(f"No token has the name or the id {name!r}. (evergrant tokens list)")
    if not good:
        say(f"Token {name} is {_state(named[-1], runtime)} already.")
        return
    agree(f"Revoke token {good[0].name}? Whoever uses it is refused from then on.", yes=yes)
    async with runtime.context.database.writing() as session:
        for token in good:
            (await session.get_one(ApiToken, token.id)).revoked_at = runtime.context.now()
    say(f"Token {good[0].name} is revoked.")


def is_good(token: ApiToken, runtime: Runtime) -> bool:
    """Tell whether a token is taken now."""
    return _state(token, runtime) == "good"


def flat(token: ApiToken, runtime: Runtime) -> dict[str, str | None]:
    """A token as a flat object."""
    times = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {
        "token_id": str(token.id),
        "name": token.name,
        "state": _state(token, runtime),
        "scopes": " ".join(token.scopes),
        **{name: when.isoformat() if (when := getattr(token, name)) else None for name in times},
    }


def _state(token: ApiToken, runtime: Runtime) -> str:
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= runtime.context.now() else "good"


async def _tokens(session: AsyncSession, runtime: Runtime) -> Sequence[ApiToken]:
    ours = select(ApiToken).where(col(ApiToken.application_id) == runtime.application.id)
    return (await session.scalars(ours.order_by(col(ApiToken.id)))).all()
