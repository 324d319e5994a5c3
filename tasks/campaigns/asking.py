"""The items that only a user can end: they are asked to sign in, once, and waited for."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import CampaignItemData, Notice, NoticeData, NoticeKind, Outcome
from models.among import among
from models.bulk import read_grants, write_changes
from models.claims import close, postpone
from tasks.context import Context
from tasks.notices.storing import store
from tasks.telling import about

WAITED_FOR = timedelta(days=14)
ASKED = "its user was asked to sign in"


async def ask_users(ctx: Context, session: AsyncSession, items: Sequence[CampaignItemData], *, now: datetime) -> None:
    """Let the product ask the users of these grants to sign in, and end what was waited for in vain.

    A reminder that is planned anyway comes now. Who signs in ends the item (`tasks.arrivals`). The items must be
    locked.
    """
    grants = await read_grants(session, [item.grant_id for item in items if item.grant_id], to_change=True)
    waiting = await _reminders(session, list(grants))
    new: list[NoticeData] = []
    for item in items:
        grant = grants.get(item.grant_id or "")
        if grant is None or grant.status is GrantStatus.DELETED:
            close(item, Outcome.SKIPPED, now=now, reason="the grant was deleted")
        elif item.cause == ASKED:
            close(item, Outcome.FAILED, now=now, reason=f"its user did not sign in within {WAITED_FOR.days} days")
        else:
            item.cause = ASKED
            postpone(item, until=now + WAITED_FOR, reason=ASKED)
            if reminder := waiting.get(grant.id):
                reminder.due_at, reminder.rung_at = min(reminder.due_at, now), None
            else:
                request = about(ctx, grant, NoticeKind.REAUTH_REQUIRED, now=now, due_at=now)
                request.campaign_id = item.campaign_id
                new.append(request)
    await write_changes(session, list(grants.values()))
    await write_changes(session, list(waiting.values()))
    await store(session, new)


async def _reminders(session: AsyncSession, grant_ids: Sequence[str]) -> dict[str, Notice]:
    planned = select(Notice).where(
        among(col(Notice.grant_id), grant_ids),
        col(Notice.kind) == NoticeKind.REAUTH_REQUIRED,
        col(Notice.settled_at).is_(None),
    )
    return {str(notice.grant_id): notice for notice in await session.scalars(planned.with_for_update())}
