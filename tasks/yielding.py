"""Bulk gives way: while much waits that somebody waits for, no more of it is rung for."""

from sqlalchemy import func, select
from sqlmodel import col

from models import Event
from models.claims import open_at
from models.kinds import EVENT_KINDS, QUEUES, Queue
from tasks.context import Context

AWAITED = frozenset(kind for kind in EVENT_KINDS if QUEUES[kind] is Queue.INTERACTIVE)


async def bulk_waits(ctx: Context) -> bool:
    """Say whether bulk has to wait: more events than `bulk_yields` are due, and nobody has taken them yet.

    What bulk has under way goes on. It needs no word to resume: each sweep asks anew.
    """
    most = ctx.policy.bulk_yields
    ours = (col(Event.application_id) == ctx.application_id) & col(Event.kind).in_(AWAITED)
    some = select(col(Event.id)).where(ours, open_at(Event, ctx.now())).limit(most + 1).subquery()
    async with ctx.database.reading() as session:
        return (await session.scalar(select(func.count()).select_from(some)) or 0) > most
