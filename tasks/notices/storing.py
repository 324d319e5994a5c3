"""Notices are written down: of a kind, a grant has one that is open at most."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Notice, NoticeData, NoticeKind, Outcome
from models.inserting import insert_new


def untold(notice: NoticeData, reason: str, *, now: datetime) -> NoticeData:
    """Settle a notice that is not sent."""
    notice.settled_at, notice.outcome, notice.reason, notice.held_by = now, Outcome.SKIPPED, reason, None
    return notice


async def store(session: AsyncSession, notices: Sequence[NoticeData]) -> None:
    """Write notices down; of a kind a grant has one open notice at most, so another one is kept as untold."""
    never = [notice for notice in notices if notice.settled_at]
    if wanted := sorted((notice for notice in notices if not notice.settled_at), key=lambda notice: notice.id):
        rows = [notice.columns() for notice in wanted]
        new = set(await insert_new(session, Notice, rows))
        for notice in wanted:
            if notice.id not in new:
                reason = "one of this kind is on its way already"
                if notice.kind is NoticeKind.GAP:
                    await _widen(session, notice)
                    reason += ", and covers this gap as well"
                never.append(untold(notice, reason, now=notice.created_at))
    await insert_new(session, Notice, [notice.columns() for notice in never])


async def _widen(session: AsyncSession, gap: NoticeData) -> None:
    """Let the notice of a gap that is on its way tell of everything until the end of a later one."""
    mine = select(Notice).where(
        col(Notice.grant_id) == gap.grant_id, col(Notice.kind) == NoticeKind.GAP, col(Notice.settled_at).is_(None)
    )
    for first in await session.scalars(mine.with_for_update()):
        first.data = first.data | {"until": gap.data["until"]}
