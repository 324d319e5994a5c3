"""The link in a reminder: minted when the notice is released, and anew if it ran out before it could be told."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from lifecycle.backfill import backfill_until
from models import Endpoint, GrantData, NoticeData
from tasks.context import Context
from tasks.links import NotRenewable, mint
from tasks.notices.endpoints import CONTACTS
from tasks.telling import facts


async def put_link(ctx: Context, session: AsyncSession, notice: NoticeData, grant: GrantData, *, now: datetime) -> None:
    """Write into a reminder what its user needs: a fresh link, which attempt it is, and until when nothing is lost.

    Where no user can renew the grant by signing in, `link` is null, and `no_link` says why.
    """
    told = facts(grant) | {"attempt": notice.number + 1}
    if grant.expired_at:
        told["deadline"] = backfill_until(grant.expired_at).isoformat()
    try:
        link, _ = await mint(ctx, session, grant, created_by=notice.kind.value, now=now)
        told |= {"link_id": str(link.id), "expires_at": link.expires_at.isoformat()}
    except NotRenewable as why:
        told |= {"link": None, "no_link": str(why)}
    notice.data = told


def link_id(notice: NoticeData) -> UUID | None:
    """The id of the link in a notice, if it has one."""
    told = notice.data.get("link_id")
    return UUID(told) if told else None


def ran_out(notice: NoticeData, *, now: datetime) -> bool:
    """Tell whether the link in a notice is good for nothing any more."""
    return link_id(notice) is not None and datetime.fromisoformat(notice.data["expires_at"]) <= now


def can_take(endpoint: Endpoint, notice: NoticeData) -> bool:
    """Tell whether a notice is of use to an endpoint: nobody is written to without a link to follow."""
    return endpoint.url != CONTACTS or link_id(notice) is not None
