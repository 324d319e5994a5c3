"""What a finished sign-in leads to: its grant renewed, or somebody else's account kept apart."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import AuthSession, CampaignItem, Outcome
from models.claims import close
from tasks import links
from tasks.context import Context
from tasks.identities import keep_apart
from tasks.looking import Look
from tasks.recording import Cause, in_words, lock_grants, record


async def came_back(ctx: Context, session: AsyncSession, look: Look, cause: Cause, *, now: datetime) -> str:
    """Record a grant whose user has signed in; say what that led to.

    No campaign need renew it any more, and no link lead to it.
    """
    if look.observation.status is GrantStatus.VALID:
        await _settle_items(session, look.grant_id, now=now)  # before the grant is locked, as campaigns do it
        await links.spend(session, look.grant_id, now=now)
    recorded = await record(ctx, session, {look.grant_id: (look, cause)}, now=now)
    return in_words(recorded.changes.get(look.grant_id), look)


async def came_as_another(
    ctx: Context, session: AsyncSession, sign_in: AuthSession, look: Look, cause: Cause, reason: str, *, now: datetime
) -> None:
    """Record somebody else's account, without taking it for the one that was wanted: that one stays as it is.

    A grant that we knew before the user set out is its own user's, who has renewed it: nothing is held against it.
    """
    grant = (await lock_grants(session, [look.grant_id])).get(look.grant_id)
    if grant and (grant.id == sign_in.wanted_grant_id or grant.first_seen_at >= sign_in.created_at):
        await keep_apart(session, grant, sign_in, reason)
    await record(ctx, session, {look.grant_id: (look, cause)}, now=now)
    if grant is None:
        adopted = await lock_grants(session, [look.grant_id])
        await keep_apart(session, adopted[look.grant_id], sign_in, reason)


async def _settle_items(session: AsyncSession, grant_id: str, *, now: datetime) -> None:
    mine = select(CampaignItem).where(col(CampaignItem.grant_id) == grant_id, col(CampaignItem.settled_at).is_(None))
    for item in await session.scalars(mine.order_by(col(CampaignItem.id)).with_for_update()):
        close(item, Outcome.DONE, now=now, reason="its user signed in")
    await session.flush()
