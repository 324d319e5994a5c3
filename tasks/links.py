"""Re-authentication links: each is a capability to renew one grant, spent only by the success of a sign-in."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from itsdangerous import BadSignature, Signer
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import GrantData, KnownConnector, ReauthLink
from models.columns import new_id
from models.inserting import insert_new
from models.sealing import Keyring
from nylas_api import HOSTED_PROVIDERS
from tasks.context import Context

PURPOSE = "evergrant re-authentication link"
LONGEST = 128


class LinkStatus(StrEnum):
    """What a link is good for. One that was spent is told apart even after its time: its user is connected."""

    OPEN = "open"
    SPENT = "spent"
    REVOKED = "revoked"
    EXPIRED = "expired"


class NotRenewable(Exception):
    """No user can renew this grant by signing in; the message says why."""


async def mint(
    ctx: Context, session: AsyncSession, grant: GrantData, *, created_by: str, now: datetime
) -> tuple[ReauthLink, str]:
    """Write a link for this grant down, and return it with its address. Raises NotRenewable.

    The address is the capability: it is for the grant's user alone, and never for a log. Only the id is kept, so the
    tables give no address away to who has not got the keys.
    """
    if grant.status is GrantStatus.DELETED:
        raise NotRenewable("it was deleted: Nylas can't bring it back, its user has to connect anew")
    if grant.provider not in HOSTED_PROVIDERS:
        raise NotRenewable(f"nobody signs in at the provider {grant.provider}")
    link = ReauthLink(
        id=new_id(),
        application_id=grant.application_id,
        grant_id=grant.id,
        created_at=now,
        created_by=created_by,
        expires_at=now + ctx.policy.link_lifetime,
    )
    await insert_new(session, ReauthLink, [link.model_dump()])
    return link, address(ctx, link.id)


def address(ctx: Context, link_id: UUID) -> str:
    """Return where a link leads."""
    return f"{ctx.public_url}/reauth/{token_of(ctx.keys, link_id)}"


def token_of(keys: Keyring, link_id: UUID) -> str:
    """Sign the id of a link, by a key made from the newest one: `<id>.<HMAC-SHA256>`, both base64url."""
    return _signer(keys).sign(urlsafe_b64encode(link_id.bytes).rstrip(b"=")).decode()


def id_in(keys: Keyring, token: str) -> UUID | None:
    """Return the id of the link that a token stands for; None if no key of ours has signed it."""
    if len(token) > LONGEST or not token.isascii():
        return None
    try:
        return UUID(bytes=urlsafe_b64decode(_signer(keys).unsign(token) + b"=="))
    except (BadSignature, ValueError):
        return None


async def read(ctx: Context, session: AsyncSession, token: str) -> ReauthLink | None:
    """Find the link that a token stands for, whatever it is still good for."""
    link_id = id_in(ctx.keys, token)
    link = await session.get(ReauthLink, link_id) if link_id else None
    return link if link and link.application_id == ctx.application_id else None


def status_of(link: ReauthLink, *, now: datetime) -> LinkStatus:
    """Say what a link is good for now."""
    if link.spent_at:
        return LinkStatus.SPENT
    if link.revoked_at:
        return LinkStatus.REVOKED
    return LinkStatus.OPEN if now < link.expires_at else LinkStatus.EXPIRED


async def revoke(session: AsyncSession, link_ids: Sequence[UUID], *, now: datetime) -> int:
    """Make links worth nothing; return how many of them were not spent or revoked already."""
    return await _close(session, col(ReauthLink.id).in_(link_ids), {"revoked_at": now})


async def spend(session: AsyncSession, grant_id: str, *, now: datetime) -> int:
    """Spend all links of a grant whose user has signed in: one that still lies in a mailbox then says so."""
    return await _close(session, col(ReauthLink.grant_id) == grant_id, {"spent_at": now})


async def connector_of(session: AsyncSession, grant: GrantData) -> KnownConnector | None:
    """Find the connector by which the user of a grant signs in, as it was when we last looked."""
    wanted = select(KnownConnector).where(
        col(KnownConnector.application_id) == grant.application_id, col(KnownConnector.provider) == grant.provider
    )
    return (await session.scalars(wanted)).one_or_none()


async def _close(session: AsyncSession, which: ColumnElement[bool], how: dict[str, datetime]) -> int:
    unclosed = col(ReauthLink.spent_at).is_(None) & col(ReauthLink.revoked_at).is_(None)
    closing = update(ReauthLink).where(which, unclosed).values(how).returning(col(ReauthLink.id))
    return len((await session.execute(closing.execution_options(synchronize_session=False))).all())


def _signer(keys: Keyring) -> Signer:
    oldest_first = keys.made_for(PURPOSE)[::-1]  # the last one signs
    return Signer(oldest_first, salt=PURPOSE, key_derivation="none", digest_method=hashlib.sha256)
