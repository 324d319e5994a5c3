"""Hosted OAuth, our side of it: sending the user to Nylas, and taking the answer in."""

import asyncio
import json
import secrets
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ingress import pages
from ingress.front import Front
from models import AuthSession, AuthSessionStatus, Grant
from models.auth_session import digest
from models.columns import new_id
from models.inbox import receive, told
from models.kinds import OAUTH_RETURNED
from nylas_api import code_challenge, new_code_verifier

log = structlog.get_logger()

PROVIDERS = frozenset({"google", "microsoft", "imap", "icloud", "yahoo", "ews", "zoom"})
COOKIE = "evergrant_browser"
KEPT_OPEN = timedelta(minutes=10)
WAITS_FOR_RESULT = 4.0
LONGEST_CODE = 4096


async def connect(request: Request) -> Response:
    """Start a sign-in: remember it, bind it to this browser, and send the user to Nylas.

    `login_hint` pre-fills the address; with the address of a grant that Nylas has, the sign-in renews that grant.
    Source: Nylas "Hosted OAuth with an API key"; RFC 6749 section 10.12 (state), RFC 9700 section 2.1 (PKCE).
    """
    front: Front = request.app.state.front
    provider = request.path_params["provider"]
    if provider not in PROVIDERS:
        return pages.unknown_provider(provider)
    hint = request.query_params.get("login_hint") or None
    if hint and (len(hint) > 320 or not hint.isprintable()):
        hint = None
    browser = _browser(request) or secrets.token_urlsafe(32)
    state, verifier, now = secrets.token_urlsafe(32), new_code_verifier(), front.now()
    sign_in = AuthSession(
        id=new_id(),
        application_id=front.application_id,
        status=AuthSessionStatus.STARTED,
        provider=provider,
        state_hash=digest(state),
        browser_hash=digest(browser),
        redirect_uri=front.settings.callback_url,
        login_hint=hint,
        created_at=now,
        expires_at=now + KEPT_OPEN,
    )
    front.context.keys.seal(sign_in, "code_verifier", verifier)
    try:
        async with asyncio.timeout(WAITS_FOR_RESULT), front.context.database.writing() as session:
            session.add(sign_in)
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        log.error("sign_in.not_stored", error=type(error).__name__)
        return pages.unavailable()
    url = front.context.nylas.auth.url(
        redirect_uri=sign_in.redirect_uri,
        provider=provider,
        state=state,
        login_hint=hint,
        code_challenge=code_challenge(verifier),
    )
    answer = RedirectResponse(url, status_code=302, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        COOKIE,
        browser,
        max_age=int(KEPT_OPEN.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=front.settings.public_url.startswith("https://"),
    )
    return answer


async def callback(request: Request) -> Response:
    """Take in the user's answer once; the exchange itself is the worker's.

    The state must be one of ours, in the browser that it was given to. A second call with it (a reload, a double
    click) changes nothing, and is told how the first one stands. What the query says is never shown or logged. An
    admin's consent comes without a state of ours, and without a code: it is thanked for, and nothing is done.
    """
    front: Front = request.app.state.front
    state, browser = request.query_params.get("state", ""), _browser(request)
    try:
        async with asyncio.timeout(WAITS_FOR_RESULT):
            sign_in = await _find(front, state)
            if sign_in is None and request.query_params.get("admin_consent", "").lower() == "true":
                return pages.consented()
            if sign_in is None or browser is None or not secrets.compare_digest(digest(browser), sign_in.browser_hash):
                return pages.unknown_sign_in()
            again = f"/connect/{sign_in.provider}"
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
        if "error" in request.query_params or not 0 < len(code) <= LONGEST_CODE:
            denied = request.query_params.get("error") == "access_denied"
            sign_in.status, sign_in.ended_at = AuthSessionStatus.FAILED, now
            sign_in.reason = "declined" if denied else "it came back with an error, or without a code"
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
            case AuthSession(status=AuthSessionStatus.FAILED, reason="declined"):
                return pages.declined(again)
            case AuthSession(status=AuthSessionStatus.FAILED):
                return pages.failed(again)
        if loop.time() > until:
            return pages.finishing()
        await asyncio.sleep(0.05)


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


def _browser(request: Request) -> str | None:
    value = request.cookies.get(COOKIE, "")
    return value if 40 <= len(value) <= 64 and value.isascii() else None
