"""When the user of an expired grant is reminded, outside of quiet hours, and when that ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

DAYS = (0, 1, 3, 7, 14)
"""Days after the confirmation at which a reminder is due."""

ESCALATION = timedelta(days=1)
"""How long after the last reminder the operator is told that nobody came."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The hours in which nobody is reminded, by the clock on the wall; over midnight if `start` is after `end`."""

    start: time
    end: time

    def end_of(self, moment: datetime, zone: tzinfo) -> datetime:
        """Say when a reminder for this moment may go: at once, or when the quiet hours end. Given and told in UTC."""
        local = moment.astimezone(zone)
        clock, over_midnight = local.time(), self.start > self.end
        quiet = (clock >= self.start or clock < self.end) if over_midnight else self.start <= clock < self.end
        if not quiet or self.start == self.end:
            return moment
        day = local.date() + timedelta(days=1) if over_midnight and clock >= self.start else local.date()
        # `fold`: in the night in which the clock is put back, the end of the hour that we are in.
        end = datetime.combine(day, self.end, tzinfo=zone).replace(fold=local.fold)
        return max(moment, end.astimezone(UTC))


def reminder_due(
    confirmed_at: datetime,
    number: int,
    *,
    days: Sequence[int] = DAYS,
    quiet: QuietHours | None = None,
    zone: tzinfo = UTC,
) -> datetime | None:
    """Say when reminder `number` (the first is 0) is due, or None when there is no such reminder."""
    if not 0 <= number < len(days):
        return None
    due = confirmed_at + timedelta(days=days[number])
    return quiet.end_of(due, zone) if quiet else due


def number_after(confirmed_at: datetime, number: int, now: datetime, *, days: Sequence[int] = DAYS) -> int:
    """Say which reminder comes after `number`: those whose day is past are left out, so that none come in a bunch."""
    coming = range(number + 1, len(days))
    return next((one for one in coming if confirmed_at + timedelta(days=days[one]) > now), len(days))


def escalation_due(confirmed_at: datetime, *, days: Sequence[int] = DAYS) -> datetime:
    """Say when the operator is told that all reminders were in vain."""
    return confirmed_at + timedelta(days=max(days, default=0)) + ESCALATION
