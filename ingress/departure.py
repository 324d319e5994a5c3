"""Sending a user to Nylas: the sign-in is written down, bound to the browser, and opened."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ingress.front import Front
from models import AuthSession, AuthSessionStatus
from models.auth_session import digest
from models.columns import new_id
from nylas_api import code_challenge, new_code_verifier

COOKIE = "evergrant_browser"
KEPT_OPEN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Errand:
    """What a user is sent for. With a grant that is wanted, whoever comes back is compared with it."""

    provider: str
    login_hint: str | None = None
    scope: Sequence[str] = ()
    credential_id: str | None = None
    wanted_grant_id: str | None = None
    wanted_user_id: str | None = None
    link_id: UUID | None = None


async def depart(front: Front, session: AsyncSession, request: Request, errand: Errand) -> Response:
    """Write a sign-in down, and make the answer that opens it at Nylas; to be sent once the transaction is through.

    Source: Nylas "Hosted OAuth with an API key"; RFC 6749 section 10.12 (state), RFC 9700 section 2.1 (PKCE).
    """
    browser = browser_of(request) or secrets.token_urlsafe(32)
    state, verifier, now = secrets.token_urlsafe(32), new_code_verifier(), front.now()
    sign_in = AuthSession(
        id=new_id(),
        application_id=front.application_id,
        status=AuthSessionStatus.STARTED,
        provider=errand.provider,
        state_hash=digest(state),
        browser_hash=digest(browser),
        redirect_uri=front.settings.callback_url,
        login_hint=errand.login_hint,
        created_at=now,
        expires_at=now + KEPT_OPEN,
        wanted_grant_id=errand.wanted_grant_id,
        wanted_user_id=errand.wanted_user_id,
        link_id=errand.link_id,
    )
    front.context.keys.seal(sign_in, "code_verifier", verifier)
    session.add(sign_in)
    await session.flush()
    url = front.context.nylas.auth.url(
        redirect_uri=sign_in.redirect_uri,
        provider=errand.provider,
        scope=errand.scope,
        state=state,
        login_hint=errand.login_hint,
        credential_id=errand.credential_id,
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


def browser_of(request: Request) -> str | None:
    """Return what our cookie says of which browser this is."""
    value = request.cookies.get(COOKIE, "")
    return value if 40 <= len(value) <= 64 and value.isascii() else None
