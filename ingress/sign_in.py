"""Hosted OAuth, our side of it: sending the user to Nylas, and taking the answer in."""

import asyncio
import json
import secrets
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from ingress import pages
from ingress.departure import Errand, browser_of, depart
from ingress.front import Front
from models import AuthSession, AuthSessionStatus, Grant, ReauthLink
from models.auth_session import ANOTHER_ACCOUNT, DECLINED, REVOKED, digest
from models.inbox import receive, told
from models.kinds import OAUTH_RETURNED
from nylas_api import HOSTED_PROVIDERS, tells_of_another_account
from tasks import links

log = structlog.get_logger()

WAITS_FOR_RESULT = 4.0
LONGEST_CODE = 4096


async def connect(request: Request) -> Response:
    """Start a sign-in: remember it, bind it to this browser, and send the user to Nylas.

    `login_hint` pre-fills the address; with the address of a grant that Nylas has, the sign-in renews that grant.
    """
    front: Front = request.app.state.front
    provider = request.path_params["provider"]
    if provider not in HOSTED_PROVIDERS:
        return pages.unknown_provider(provider)
    hint = request.query_params.get("login_hint") or None
    if hint and (len(hint) > 320 or not hint.isprintable()):
        hint = None
    try:
        async with asyncio.timeout(WAITS_FOR_RESULT), front.context.database.writing() as session:
            return await depart(front, session, request, Errand(provider=provider, login_hint=hint))
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        log.error("sign_in.not_stored", error=type(error).__name__)
        return pages.unavailable()


async def callback(request: Request) -> Response:
    """Take in the user's answer once; the exchange itself is the worker's.

    The state must be one of ours, in the browser that it was given to. A second call with it (a reload, a double
    click) changes nothing, and is told how the first one stands. What the query says is never shown or logged. An
    admin's consent comes without a state of ours, and without a code: it is thanked for, and nothing is done.
    """
    front: Front = request.app.state.front
    state, browser = request.query_params.get("state", ""), browser_of(request)
    try:
        async with asyncio.timeout(WAITS_FOR_RESULT):
            sign_in = await _find(front, state)
            if sign_in is None and request.query_params.get("admin_consent", "").lower() == "true":
                return pages.consented()
            if sign_in is None or browser is None or not secrets.compare_digest(digest(browser), sign_in.browser_hash):
                return pages.unknown_sign_in()
            again = _again(front, sign_in)
            if sign_in.status is AuthSessionStatus.STARTED:
                if front.now() > sign_in.expires_at:
                    return pages.too_late(again)
                await _take_in(front, sign_in.id, request)
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        log.error("sign_in.not_stored", error=type(error).__name__)
        return pages.unavailable()
    return await _show(front, state, again)


async def _take_in(front: Front, sign_in_id: UUID, request: Request) -> None:
    """Write the answer down, in one transaction with the event; of two at once, the second finds it taken."""
    code, now = request.query_params.get("code", ""), front.now()
    async with front.context.database.writing() as session:
        sign_in = await session.get_one(AuthSession, sign_in_id, with_for_update=True)
        if sign_in.status is not AuthSessionStatus.STARTED:
            return
        sign_in.returned_at = now
        if reason := await _failure(session, sign_in, request.query_params):
            sign_in.status, sign_in.ended_at, sign_in.reason = AuthSessionStatus.FAILED, now, reason
            sign_in.code_verifier = None
            return
        front.context.keys.seal(sign_in, "code", code)
        sign_in.status = AuthSessionStatus.RETURNED
        event = told(
            OAUTH_RETURNED,
            f"sign-in:{sign_in.id}",
            application_id=front.application_id,
            source="web",
            now=now,
            raw=json.dumps({"auth_session": str(sign_in.id)}).encode(),
        )
        await session.flush()
        new = await receive(session, [event])
    front.context.ring(OAUTH_RETURNED, list(new))


async def _failure(session: AsyncSession, sign_in: AuthSession, said: QueryParams) -> str | None:
    """Say why nothing came of a sign-in; None if a code did."""
    link = await session.get(ReauthLink, sign_in.link_id) if sign_in.link_id else None
    if link and link.revoked_at:
        return REVOKED
    if said.get("error") == "access_denied":
        return DECLINED
    if tells_of_another_account(said.get("error"), said.get("error_code"), said.get("error_description")):
        return ANOTHER_ACCOUNT
    if "error" in said or not 0 < len(said.get("code", "")) <= LONGEST_CODE:
        return "it came back with an error, or without a code"
    return None


async def _show(front: Front, state: str, again: str) -> Response:
    """Wait a moment for the worker, so that most users see the result at once."""
    loop = asyncio.get_running_loop()
    until = loop.time() + WAITS_FOR_RESULT
    while True:
        try:
            sign_in = await _find(front, state)
        except (SQLAlchemyError, OSError):
            sign_in = None
        match sign_in:
            case AuthSession(status=AuthSessionStatus.DONE):
                return pages.connected(await _email(front, sign_in.grant_id))
            case AuthSession(status=AuthSessionStatus.QUARANTINED):
                return pages.another_account(again)
            case AuthSession(status=AuthSessionStatus.FAILED):
                return _failed(sign_in, again)
        if loop.time() > until:
            return pages.finishing()
        await asyncio.sleep(0.05)


def _failed(sign_in: AuthSession, again: str) -> Response:
    reason = sign_in.reason or ""
    if reason.startswith(REVOKED):
        return pages.closed_link()
    for begins, shown in ((DECLINED, pages.declined), (ANOTHER_ACCOUNT, pages.another_account)):
        if reason.startswith(begins):
            return shown(again)
    return pages.failed(again)


def _again(front: Front, sign_in: AuthSession) -> str:
    """Where a user goes who tries once more: by the same link, or through the same door."""
    if sign_in.link_id:
        return f"/reauth/{links.token_of(front.context.keys, sign_in.link_id)}"
    return f"/connect/{sign_in.provider}"


async def _find(front: Front, state: str) -> AuthSession | None:
    if not state or len(state) > 256:
        return None
    async with front.context.database.reading() as session:
        return (
            await session.scalars(select(AuthSession).where(col(AuthSession.state_hash) == digest(state)))
        ).one_or_none()


async def _email(front: Front, grant_id: str | None) -> str | None:
    async with front.context.database.reading() as session:
        grant = await session.get(Grant, grant_id) if grant_id else None
    return grant.email if grant else None
