"""Presence: after an outage longer than Nylas' retries a sync is asked for, since what was sent then comes no more."""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from models.cancellation import is_cancelled
from models.inbox import receive, told
from models.kinds import SYNC_REQUESTED
from tasks.context import Context

log = structlog.get_logger()

SEEN = "evergrant:web:seen"
EVERY = 30.0
LOST_AFTER = timedelta(minutes=10)
"""Nylas tries a webhook three times, the last one 10 to 20 minutes after the first."""


async def stay_present(context: Context, redis: Redis | None) -> None:
    """Note every half minute that webhooks can be stored here; after a longer gap ask for a sync."""
    while redis is not None:
        try:
            await note_presence(context, redis)
        except (SQLAlchemyError, RedisError, OSError) as error:
            log.warning("presence.not_noted", error=type(error).__name__)
        if is_cancelled():  # what was awaited may have kept it to itself
            raise asyncio.CancelledError
        await asyncio.sleep(EVERY)


async def note_presence(context: Context, redis: Redis) -> None:
    """Note that webhooks can be stored now. Of several fronts that come back at once one asks for the sync.

    A Redis that has forgotten when that was last so tells of no gap: then it is the hourly sync that finds all.
    """
    if not await context.database.is_there():
        return
    now = context.now()
    last = await redis.set(SEEN, now.timestamp(), get=True)
    if last is None or now - (since := datetime.fromtimestamp(float(last), UTC)) <= LOST_AFTER:
        return
    event = told(
        SYNC_REQUESTED,
        f"away:{since.isoformat()}",
        application_id=context.application_id,
        source="presence",
        now=now,
    )
    async with context.database.writing() as session:
        new = await receive(session, [event])
    log.warning("presence.was_away", since=since.isoformat())
    context.ring(SYNC_REQUESTED, list(new))
