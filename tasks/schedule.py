"""A schedule fires: write its event, once for each due time, however many beats there are."""

from datetime import datetime, timedelta

from celery import shared_task
from cronsim import CronSim

from models.inbox import receive, told
from tasks.context import Context

SCHEDULE_FIRED = "schedule.fired"
ONE_MINUTE = timedelta(minutes=1)


@shared_task(name=SCHEDULE_FIRED)
async def fire(ctx: Context, kind: str, cron: str) -> None:
    """Tell of one firing. Its key is the schedule and the time that it was due, so a second beat adds nothing."""
    now = ctx.now()
    due = last_due(cron, now)
    event = told(
        kind, f"schedule:{kind}:{due.isoformat()}", application_id=ctx.application_id, source="schedule", now=now
    )
    async with ctx.database.writing() as session:
        new = await receive(session, [event])
    ctx.ring(kind, list(new))


def last_due(cron: str, now: datetime) -> datetime:
    """Say when the cron expression (five fields, UTC) was due last, at or before `now`."""
    minute = now.replace(second=0, microsecond=0)
    if next(CronSim(cron, minute - ONE_MINUTE)) == minute:
        return minute
    return next(CronSim(cron, minute, reverse=True))
