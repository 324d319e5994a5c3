"""Bearer tokens (RFC 6750): who calls the API, asked before anything else of the request is read."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select, update
from sqlmodel import col
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.api.problems import Problem, answer, unavailable
from ingress.api.scopes import TokenScope, allows
from ingress.front import Front
from models import ApiToken
from models.auth_session import digest
from models.database import AWAY

log = structlog.get_logger()

OPEN_TO_ALL = "/openapi.json"
LONGEST = 256
NOTED_EVERY = timedelta(minutes=1)
BELIEVED_FOR = timedelta(seconds=1)
REALM = 'Bearer realm="evergrant"'

documented = HTTPBearer(auto_error=False, description="`evergrant tokens create` makes one.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the token, by its name, and what it is good for."""

    name: str
    scopes: list[str]


class Bearer:
    """ASGI middleware that lets nobody in without a token that is good; the address of the OpenAPI is open."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app
        self._noted: dict[UUID, datetime] = {}
        self._good: dict[str, tuple[ApiToken, datetime]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 401, or pass the call on with its `Caller`."""
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) == OPEN_TO_ALL:
            return await self._app(scope, receive, send)
        front: Front = scope["app"].state.front
        given = _given(Headers(scope=scope).getlist("authorization"))
        if given is None:
            detail = "This needs a token: Authorization: Bearer … (evergrant tokens create makes one)"
            no_token = answer(401, "no_token", detail, headers={"WWW-Authenticate": REALM})
            return await no_token(scope, receive, send)
        try:
            token = await self._find(front, given)
            if token is None:
                detail = "The token is unknown, revoked, or has run out."
                says = {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}
                return await answer(401, "invalid_token", detail, headers=says)(scope, receive, send)
            await self._note(front, token)
        except AWAY as error:
            return await unavailable(error)(scope, receive, send)
        scope.setdefault("state", {})["caller"] = Caller(token.name, token.scopes)
        return await self._app(scope, receive, send)

    async def _find(self, front: Front, given: str) -> ApiToken | None:
        """Find the token that is good now; a good one is believed for a second before the database is asked again.

        What is looked for is its hash, so the time that it takes tells nothing of the token.
        """
        hashed, now = digest(given), front.now()
        token, until = self._good.get(hashed, (None, now))
        if token is None or now >= until:
            token = await _read(front, hashed) if len(given) <= LONGEST else None
        if token is None or token.revoked_at or (token.expires_at and token.expires_at <= now):
            self._good.pop(hashed, None)
            return None
        self._good[hashed] = token, until if now < until else now + BELIEVED_FOR
        return token

    async def _note(self, front: Front, token: ApiToken) -> None:
        """Write down that the token was used, once a minute at most."""
        now = front.now()
        noted = self._noted.get(token.id) or token.last_used_at
        if noted and now - noted < NOTED_EVERY:
            return
        self._noted[token.id] = now
        async with front.context.database.writing() as session:
            await session.execute(update(ApiToken).where(col(ApiToken.id) == token.id).values(last_used_at=now))


def needs(wanted: TokenScope) -> Callable[..., Awaitable[Caller]]:
    """Make the dependency that answers with 403 unless the token has a scope."""

    async def check(
        request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Security(documented)]
    ) -> Caller:
        caller: Caller = request.state.caller
        if not allows(caller.scopes, wanted):
            says = f'{REALM}, error="insufficient_scope", scope="{wanted.value}"'
            detail = f"This needs a token with the scope {wanted.value}."
            raise Problem(HTTPStatus.FORBIDDEN, "insufficient_scope", detail, headers={"WWW-Authenticate": says})
        return caller

    return check


def _given(headers: list[str]) -> str | None:
    """The token in the header; two headers, or another scheme, are none."""
    if len(headers) != 1:
        return None
    scheme, _, token = headers[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


async def _read(front: Front, hashed: str) -> ApiToken | None:
    wanted = select(ApiToken).where(
        col(ApiToken.token_hash) == hashed, col(ApiToken.application_id) == front.application_id
    )
    async with front.context.database.reading() as session:
        token = (await session.scalars(wanted)).one_or_none()
    return token if token and secrets.compare_digest(token.token_hash, hashed) else None
