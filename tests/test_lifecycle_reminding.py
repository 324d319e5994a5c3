"""Reminders: on which days, not in quiet hours by the clock on the user's wall, and when they end."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lifecycle.reminding import DAYS, QuietHours, escalation_due, reminder_due

NIGHT = QuietHours(time(22), time(7))
SIESTA = QuietHours(time(13), time(15, 30))
NEVER = QuietHours(time(8), time(8))
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
KOLKATA, KIRITIMATI = ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Kiritimati")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("quiet", "zone", "moment", "goes"),
    [
        (NIGHT, UTC, "2026-01-01 12:00", "2026-01-01 12:00"),
        (NIGHT, UTC, "2026-01-01 21:59", "2026-01-01 21:59"),
        (NIGHT, UTC, "2026-01-01 22:00", "2026-01-02 07:00"),
        (NIGHT, UTC, "2026-01-01 23:59", "2026-01-02 07:00"),
        (NIGHT, UTC, "2026-01-02 00:00", "2026-01-02 07:00"),
        (NIGHT, UTC, "2026-01-02 06:59", "2026-01-02 07:00"),
        (NIGHT, UTC, "2026-01-02 07:00", "2026-01-02 07:00"),
        (SIESTA, UTC, "2026-01-01 12:59", "2026-01-01 12:59"),
        (SIESTA, UTC, "2026-01-01 13:00", "2026-01-01 15:30"),
        (SIESTA, UTC, "2026-01-01 15:29", "2026-01-01 15:30"),
        (SIESTA, UTC, "2026-01-01 15:30", "2026-01-01 15:30"),
        (NEVER, UTC, "2026-01-01 08:00", "2026-01-01 08:00"),
        (NEVER, UTC, "2026-01-01 03:00", "2026-01-01 03:00"),
        # The wall's clock decides, and its day.
        (NIGHT, BERLIN, "2026-01-01 20:59", "2026-01-01 20:59"),
        (NIGHT, BERLIN, "2026-01-01 21:00", "2026-01-02 06:00"),
        (NIGHT, BERLIN, "2026-07-01 20:00", "2026-07-02 05:00"),
        (NIGHT, KOLKATA, "2026-01-01 16:29", "2026-01-01 16:29"),
        (NIGHT, KOLKATA, "2026-01-01 16:30", "2026-01-02 01:30"),
        (NIGHT, KIRITIMATI, "2026-01-01 09:00", "2026-01-01 17:00"),
        # The night before the clock is put forward is an hour shorter, and the one before it is put back longer.
        (NIGHT, BERLIN, "2026-03-28 23:00", "2026-03-29 05:00"),
        (NIGHT, BERLIN, "2026-10-24 22:00", "2026-10-25 06:00"),
        (NIGHT, NEW_YORK, "2026-03-08 06:59", "2026-03-08 11:00"),
        # An end that the clock leaps over: not before it is over.
        (QuietHours(time(22), time(2, 30)), NEW_YORK, "2026-03-08 06:00", "2026-03-08 07:30"),
        # An hour that comes twice: each time its own end.
        (QuietHours(time(22), time(1, 30)), NEW_YORK, "2026-11-01 05:15", "2026-11-01 05:30"),
        (QuietHours(time(22), time(1, 30)), NEW_YORK, "2026-11-01 06:15", "2026-11-01 06:30"),
    ],
)
def test_a_reminder_waits_for_the_end_of_the_quiet_hours(
    quiet: QuietHours, zone: ZoneInfo, moment: str, goes: str
) -> None:
    assert quiet.end_of(utc(moment), zone) == utc(goes)


def utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def two_hours_are_left(quiet: QuietHours) -> bool:
    """Else the clock may leap over all of the day that is not quiet."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    loud = datetime.combine(day, quiet.start, UTC) - datetime.combine(day, quiet.end, UTC)
    return loud % timedelta(days=1) >= timedelta(hours=2) or quiet.start == quiet.end


@given(
    quiet=st.builds(QuietHours, st.times(), st.times()),
    zone=st.sampled_from([UTC, BERLIN, NEW_YORK, KOLKATA, KIRITIMATI, ZoneInfo("Australia/Lord_Howe")]),
    moment=st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - as it asks
)
def test_no_reminder_goes_in_quiet_hours_nor_before_its_time_nor_a_day_late(
    quiet: QuietHours, zone: ZoneInfo, moment: datetime
) -> None:
    assume(two_hours_are_left(quiet))
    goes = quiet.end_of(moment, zone)
    assert moment <= goes <= moment + timedelta(hours=25)
    clock = goes.astimezone(zone).time()
    if quiet.start < quiet.end:
        assert not quiet.start <= clock < quiet.end
    elif quiet.start > quiet.end:
        assert quiet.end <= clock < quiet.start


@pytest.mark.parametrize(
    ("number", "days"), [(-1, None), (0, 0), (1, 1), (2, 3), (3, 7), (4, 14), (5, None), (99, None)]
)
def test_reminders_are_due_on_their_days_after_the_confirmation(number: int, days: int | None) -> None:
    assert reminder_due(NOON, number) == (None if days is None else NOON + timedelta(days=days))


def test_other_days_can_be_set_and_none_at_all() -> None:
    assert reminder_due(NOON, 1, days=(0, 2)) == NOON + timedelta(days=2)
    assert reminder_due(NOON, 2, days=(0, 2)) is None
    assert reminder_due(NOON, 0, days=()) is None


def test_a_reminder_that_falls_into_the_night_waits_for_the_morning_where_its_user_is() -> None:
    confirmed_at = datetime(2026, 3, 27, 22, tzinfo=UTC)
    assert reminder_due(confirmed_at, 0, quiet=NIGHT, zone=BERLIN) == datetime(2026, 3, 28, 6, tzinfo=UTC)
    assert reminder_due(confirmed_at, 1, quiet=NIGHT, zone=BERLIN) == datetime(2026, 3, 29, 5, tzinfo=UTC)


@pytest.mark.parametrize("days", [DAYS, (0,), (), (5, 1)])
def test_the_operator_is_told_a_day_after_the_last_reminder(days: tuple[int, ...]) -> None:
    assert escalation_due(NOON, days=days) == NOON + timedelta(days=max(days, default=0) + 1)
