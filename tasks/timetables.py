"""When a schedule is due: a cron expression of five fields, in a time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

LONGEST = 128
ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = "five fields: minute, hour, day of the month, month, day of the week, such as '0 3 * * 1-5'"


class WrongTimetable(ValueError):
    """A cron expression or a time zone that can't be; the text says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """The due times of a cron expression, told by the clocks of a zone."""

    cron: str
    zone: ZoneInfo

    @classmethod
    def read(cls, cron: str, zone: str) -> "Timetable":
        """Read both as they were typed. Raises WrongTimetable, also for what is never due."""
        cron = " ".join(cron.split())
        try:
            timetable = cls(cron, ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise WrongTimetable(f"{zone!r} is no time zone: say UTC, or a name such as Europe/Berlin") from error
        if len(cron) > LONGEST or len(cron.split()) != 5:
            raise WrongTimetable(f"{cron[:LONGEST]!r} is no cron expression: it takes {FIELDS}")
        try:
            timetable.next_after(ANY_DAY)
        except CronSimError as error:
            raise WrongTimetable(f"{cron!r} is no cron expression: {str(error).lower()} ({FIELDS})") from error
        return timetable

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Each due time later than the moment, in order, by the zone's clocks.

        In the hour that a zone's clocks tell twice CronSim begins anew with the first of the two, which may be over.
        """
        for due in CronSim(self.cron, moment.astimezone(self.zone)):
            if due.astimezone(UTC) > moment:
                yield due

    def next_after(self, moment: datetime) -> datetime:
        """The first due time later than the moment, in UTC. Raises WrongTimetable if there is none for fifty years."""
        due = next(self.after(moment), None)
        if due is None:
            raise WrongTimetable(f"{self.cron!r} is never due, at least not in the next fifty years")
        return due.astimezone(UTC)

    def by_its_clocks(self, moment: datetime) -> str:
        """A time as the zone's clocks tell it, with the offset: `2026-03-29 03:00+02:00`."""
        return moment.astimezone(self.zone).isoformat(sep=" ", timespec="minutes")
