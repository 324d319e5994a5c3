"""What a finished sign-in leads to: its grant renewed, or somebody else's account kept apart."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import MOOT, AuthSession, CampaignItem, GrantData, HeldBy, Notice, Outcome
from models.bulk import read_grants, write_changes
from models.claims import close
from models.columns import new_id
from models.inbox import receive, told
from models.kinds import GRANT_RELEASED
from tasks import links
from tasks.context import Context
from tasks.identities import keep_apart
from tasks.incidents import covering, open_incidents
from tasks.looking import Look
from tasks.recording import Cause, in_words, record


async def came_back(ctx: Context, session: AsyncSession, look: Look, cause: Cause, *, now: datetime) -> str:
    """Record a grant whose user has signed in; say what that led to.

    No campaign need renew it any more, and no link lead to it.
    """
    if look.observation.status is GrantStatus.VALID:
        await _settle_items(session, look.grant_id, now=now)  # before the grant is locked, as campaigns do it
        await links.spend(session, look.grant_id, now=now)
    recorded = await record(ctx, session, {look.grant_id: (look, cause)})
    return in_words(recorded.changes.get(look.grant_id), look)


async def came_as_another(
    ctx: Context, session: AsyncSession, sign_in: AuthSession, look: Look, cause: Cause, reason: str
) -> None:
    """Record somebody else's account, without taking it for the one that was wanted: that one stays as it is.

    A grant that we knew before the user set out is its own user's, who has renewed it: nothing is held against it.
    """
    grant = (await read_grants(session, [look.grant_id], to_change=True)).get(look.grant_id)
    if grant and (grant.id == sign_in.wanted_grant_id or grant.first_seen_at >= sign_in.created_at):
        await keep_apart(session, grant, sign_in, reason)
    await record(ctx, session, {look.grant_id: (look, cause)})
    if grant is None:
        adopted = await read_grants(session, [look.grant_id], to_change=True)
        await keep_apart(session, adopted[look.grant_id], sign_in, reason)


async def accept(ctx: Context, session: AsyncSession, look: Look, *, source: str, now: datetime) -> GrantData | None:
    """Take a grant out of quarantine, as whose it is by this look: an admin has decided. None if it is not in it.

    What was to be told of it goes now, unless it is no longer true, or an incident holds it.
    """
    grant = (await read_grants(session, [look.grant_id], to_change=True)).get(look.grant_id)
    if grant is None or grant.quarantined is None:
        return None
    decision = told(
        GRANT_RELEASED,
        f"released:{new_id()}",
        application_id=ctx.application_id,
        source=source,
        now=now,
        grant_id=grant.id,
    )
    close(decision, Outcome.DONE, now=now, reason=f"it was taken out of quarantine, although {grant.quarantined}")
    await receive(session, [decision])
    grant.quarantined = None
    await write_changes(session, [grant])
    await record(ctx, session, {grant.id: (look, Cause(GRANT_RELEASED, event_id=decision.id))})
    grant = (await read_grants(session, [grant.id], to_change=True))[grant.id]
    await _release_notices(ctx, session, grant)
    return grant


async def _release_notices(ctx: Context, session: AsyncSession, grant: GrantData) -> None:
    held = select(Notice).where(
        col(Notice.grant_id) == grant.id,
        col(Notice.settled_at).is_(None),
        col(Notice.held_by) == HeldBy.QUARANTINE,
    )
    incident = covering(await open_incidents(session, ctx), grant)
    for notice in await session.scalars(held.with_for_update()):
        explained = incident if notice.kind in MOOT else None
        notice.held_by = HeldBy.INCIDENT if explained else None
        notice.incident_id = explained.id if explained else None
        notice.data = notice.data | {"email": grant.email, "provider": grant.provider}
    await session.flush()


async def _settle_items(session: AsyncSession, grant_id: str, *, now: datetime) -> None:
    mine = select(CampaignItem).where(col(CampaignItem.grant_id) == grant_id, col(CampaignItem.settled_at).is_(None))
    for item in await session.scalars(mine.order_by(col(CampaignItem.id)).with_for_update()):
        close(item, Outcome.DONE, now=now, reason="its user signed in")
    await session.flush()
