"""The whole story of a grant, oldest first, gathered from the tables."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from ingress.story import bulk, changes, events, notices, users
from ingress.story.line import Line
from models import Grant


async def story(session: AsyncSession, grant: Grant, *, now: datetime) -> list[Line]:
    """Gather what the tables tell of a grant; the same rows give the same lines in the same order."""
    moves = await changes.changes(session, grant)
    about = await notices.notices_of(session, grant)
    lines = [
        *changes.in_lines(moves),
        *changes.confirmations(grant, about),
        *changes.quarantine(grant),
        *await events.lines(session, grant, {move.event_id for move in moves}),
        *await notices.lines(session, grant, about),
        *await users.links(session, grant, now=now),
        *await users.sign_ins(session, grant),
        *await bulk.campaigns(session, grant),
        *await bulk.retirements(session, grant),
    ]
    return sorted(lines, key=lambda line: line.place)
