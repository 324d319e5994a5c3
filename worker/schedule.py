"""The schedule: what beat fires, and when."""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab

from models.kinds import SYNC_REQUESTED, Queue
from tasks.housekeeping import HOUSEKEEPING_DUE
from tasks.schedule import SCHEDULE_FIRED
from tasks.schedules import SCHEDULES_DUE

# Five fields, UTC. Webhooks give speed; this look at all grants gives truth.
CRONS = {SYNC_REQUESTED: "17 * * * *"}
LOOKS_EVERY = timedelta(seconds=5)
HOUSEKEEPING_EVERY = timedelta(minutes=15)
STALE_AFTER = timedelta(minutes=1)
"""While no worker runs these messages pile up, 17,000 a day: when one is back it throws the old ones away unread."""


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Each entry sends one message that says which schedule fired; the row of the firing is written by the task.

    The schedules that were added stand in the database: of them beat knows only that somebody is to look. Housekeeping
    has no row either.
    """
    options = {"queue": Queue.INTERACTIVE.value}
    often = {SCHEDULES_DUE: LOOKS_EVERY, HOUSEKEEPING_DUE: HOUSEKEEPING_EVERY}
    return {
        name: {
            "task": name,
            "schedule": every,
            "options": options | {"expires": max(every, STALE_AFTER).total_seconds()},
        }
        for name, every in often.items()
    } | {
        kind: {"task": SCHEDULE_FIRED, "schedule": crontab.from_string(cron), "args": [kind, cron], "options": options}
        for kind, cron in CRONS.items()
    }
