"""The 72-hour clock: what Nylas still sends of the time in which a grant did not work, and what is lost."""

from dataclasses import dataclass
from datetime import datetime, timedelta

BACKFILL = timedelta(hours=72)
"""Re-authenticated within this time, a grant is sent what it missed (Nylas: "Handling expired grants")."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The time of which Nylas sends nothing: the product has to fetch it. Both ends are included."""

    since: datetime
    until: datetime


def backfill_until(expired_at: datetime) -> datetime:
    """Say until when a re-authentication loses nothing."""
    return expired_at + BACKFILL


def time_left(expired_at: datetime | None, now: datetime) -> timedelta:
    """Say how long that is; nothing is left after it, and all of it for a grant that has not expired."""
    return BACKFILL if expired_at is None else max(timedelta(), backfill_until(expired_at) - now)


def gap(expired_at: datetime, recovered_at: datetime) -> Gap | None:
    """Say what the product has to fetch after a recovery: nothing, or the whole time from expiry to recovery."""
    return Gap(expired_at, recovered_at) if recovered_at > backfill_until(expired_at) else None
