"""What the user of a grant did, in the story: links that were given out, and sign-ins."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.story.line import Line, What, because, moment
from models import AuthSession, AuthSessionStatus, Grant, ReauthLink

USER = "its user"


async def sign_ins(session: AsyncSession, grant: Grant) -> list[Line]:
    """Tell of the sign-ins that made or renewed the grant, or were to."""
    about = or_(col(AuthSession.grant_id) == grant.id, col(AuthSession.wanted_grant_id) == grant.id)
    found = await session.scalars(select(AuthSession).where(about))
    return [line for sign_in in found for line in _sign_in(sign_in, grant)]


def _sign_in(sign_in: AuthSession, grant: Grant) -> Iterator[Line]:
    by = " by a re-authentication link" if sign_in.link_id else ""
    what = f"a sign-in with {sign_in.provider} was started{by}"
    yield Line(sign_in.created_at, What.SIGN_IN, USER, what, str(sign_in.id))
    if sign_in.ended_at is None:
        return
    other = sign_in.grant_id if sign_in.grant_id and sign_in.grant_id != grant.id else None
    match sign_in.status:
        case AuthSessionStatus.DONE:
            what = "the sign-in succeeded" + (f", and made another grant, {other}" if other else "")
        case AuthSessionStatus.QUARANTINED:
            came = f" (grant {other})" if other else ""
            what = f"the sign-in brought another account{came}, not taken for this one{because(sign_in.reason)}"
        case _:
            what = f"the sign-in failed{because(sign_in.reason)}"
    yield Line(sign_in.ended_at, What.SIGN_IN, USER, what, str(sign_in.id))


async def links(session: AsyncSession, grant: Grant, *, now: datetime) -> list[Line]:
    """Tell of the re-authentication links of the grant."""
    found = await session.scalars(select(ReauthLink).where(col(ReauthLink.grant_id) == grant.id))
    return [line for link in found for line in _link(link, now)]


def _link(link: ReauthLink, now: datetime) -> Iterator[Line]:
    of = str(link.id)
    given = f"re-authentication link {of} was given out, good until {moment(link.expires_at)}"
    yield Line(link.created_at, What.LINK, link.created_by, given, of)
    if link.opened_at:
        yield Line(link.opened_at, What.LINK, USER, f"link {of} was opened", of)
    if link.spent_at:
        yield Line(link.spent_at, What.LINK, USER, f"link {of} was spent by a sign-in that succeeded", of)
    if link.revoked_at:
        yield Line(link.revoked_at, What.LINK, "an admin", f"link {of} was revoked", of)
    elif not link.spent_at and link.expires_at <= now:
        yield Line(link.expires_at, What.LINK, "Evergrant", f"link {of} ran out without a sign-in", of)
