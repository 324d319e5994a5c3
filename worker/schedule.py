"""The schedule: what beat fires, and when."""

from typing import Any

from celery.schedules import crontab

from models.kinds import SYNC_REQUESTED, Queue
from tasks.schedule import SCHEDULE_FIRED

# Five fields, UTC. Webhooks give speed; this look at all grants gives truth.
CRONS = {SYNC_REQUESTED: "17 * * * *"}


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Each entry sends one message that says which schedule fired; the row of the firing is written by the task."""
    return {
        kind: {
            "task": SCHEDULE_FIRED,
            "schedule": crontab.from_string(cron),
            "args": [kind, cron],
            "options": {"queue": Queue.INTERACTIVE.value},
        }
        for kind, cron in CRONS.items()
    }
