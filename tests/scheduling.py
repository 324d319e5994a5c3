"""What the tests of schedules share: rows to fire, the messages of two beats, and what came of them."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from models import Campaign, Event, Schedule
from models.columns import new_id
from models.kinds import REAUTH_BULK_REQUESTED, SYNC_REQUESTED
from tasks.context import Context
from tasks.schedules import fire_due
from tasks.timetables import Timetable
from tests.conftest import another_worker

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
EXPIRED_ONES = {"filter": {"status": "expired"}, "rate": 5.0, "max_failures": "5%"}


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def scheduled(ctx: Context, cron: str, *, zone: str = "UTC", **different: Any) -> Schedule:
    """Add a schedule of syncs (unless told otherwise) at the clock's time."""
    now = ctx.now()
    fields = {"name": "nightly", "kind": SYNC_REQUESTED, "next_at": Timetable.read(cron, zone).next_after(now)}
    row = Schedule(
        id=new_id(),
        application_id=ctx.application_id,
        cron=cron,
        zone=zone,
        created_at=now,
        **(fields | different),
    )
    async with ctx.database.writing() as session:
        session.add(row)
    return row


async def scheduled_campaigns(ctx: Context, cron: str, **payload: Any) -> Schedule:
    """Add a schedule of campaigns."""
    return await scheduled(ctx, cron, kind=REAUTH_BULK_REQUESTED, payload=EXPIRED_ONES | payload)


async def events(ctx: Context) -> list[Event]:
    """All events, the oldest first."""
    async with ctx.database.reading() as session:
        return list(await session.scalars(select(Event).order_by(col(Event.id))))


async def campaigns(ctx: Context) -> list[Campaign]:
    """All campaigns, the oldest first."""
    async with ctx.database.reading() as session:
        return list(await session.scalars(select(Campaign).order_by(col(Campaign.id))))


async def fresh(ctx: Context, schedule: Schedule) -> Schedule:
    """The schedule as it stands now."""
    async with ctx.database.reading() as session:
        return await session.get_one(Schedule, schedule.id)


async def change(ctx: Context, schedule: Schedule, **fields: Any) -> None:
    """Change the row of a schedule."""
    async with ctx.database.writing() as session:
        row = await session.get_one(Schedule, schedule.id)
        for name, value in fields.items():
            setattr(row, name, value)


async def two_beats(ctx: Context) -> None:
    """The messages of two beats, taken by two workers at once, and one of them again."""
    await asyncio.gather(fire_due.run(ctx), fire_due.run(another_worker(ctx)))
    await fire_due.run(ctx)
