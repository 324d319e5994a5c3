"""The notices that nobody is sent: settled as they are written, each with the reason."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from models import Endpoint, GrantData, NoticeData, NoticeKind, Outcome
from tasks.context import Context
from tasks.notices.endpoints import active, wants


def untold(notice: NoticeData, reason: str, *, now: datetime) -> NoticeData:
    """Settle a notice that is not sent."""
    notice.settled_at, notice.outcome, notice.reason, notice.held_by = now, Outcome.SKIPPED, reason, None
    return notice


async def settle_unwanted(
    ctx: Context,
    session: AsyncSession,
    notices: Sequence[NoticeData],
    grants: Mapping[str, GrantData],
    *,
    now: datetime,
) -> None:
    """Settle those that would go now and that no endpoint wants, before they are stored: nobody has to be rung for.

    That saves a fifth of the work on a grant where its recovery is nobody's business. A reminder has to be fanned out
    all the same: it leads to the next one.
    """
    due = [
        notice
        for notice in notices
        if notice.settled_at is None
        and notice.held_by is None
        and notice.due_at <= now
        and notice.kind is not NoticeKind.REAUTH_REQUIRED
    ]
    if not due:
        return
    endpoints = await active(session, ctx.application_id)
    for notice in due:
        if not any(wants(endpoint, notice, grants.get(notice.grant_id or "")) for endpoint in endpoints):
            untold(notice, nobody_wants(notice, endpoints), now=now)


def nobody_wants(notice: NoticeData, endpoints: Sequence[Endpoint]) -> str:
    """Say why a notice is sent nowhere."""
    return f"no endpoint wants {notice.kind.value}" if endpoints else "no endpoint is set up"
