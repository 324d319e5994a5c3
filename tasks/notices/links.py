"""The link in a reminder: minted when the notice is released, and anew if it ran out before it could be told."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from lifecycle.backfill import backfill_until
from models import GrantData, NoticeData
from tasks.context import Context
from tasks.links import NotRenewable, mint
from tasks.notices.endpoints import link_id
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


def ran_out(notice: NoticeData, *, now: datetime) -> bool:
    """Tell whether the link in a notice is good for nothing any more."""
    return link_id(notice) is not None and datetime.fromisoformat(notice.data["expires_at"]) <= now
