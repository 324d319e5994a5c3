"""When a schedule is due: read as it was typed, told by the clocks of its zone, and refused with a reason."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.schedules import span
from tasks.timetables import Timetable, WrongTimetable

ITEM = st.sampled_from(["*", "0", "59", "7", "L", "LW", "1-5", "5-1", "*/5", "MON", "FRI#2", "5L", "1,L", "L/2", "JAN"])
ZONES = ["UTC", "Europe/Berlin", "America/Santiago", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata"]
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - it gets one


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "because"),
    [
        ("* * * *", "UTC", "'* * * *' is no cron expression: it takes five fields: minute, hour,"),
        ("0 * * * * *", "UTC", "it takes five fields"),
        ("@daily", "UTC", "it takes five fields"),
        ("", "UTC", "it takes five fields"),
        ("0 " * 64 + "0 0 0 0", "UTC", "it takes five fields"),
        ("60 * * * *", "UTC", "'60 * * * *' is no cron expression: bad minute (five fields:"),
        ("0 24 * * *", "UTC", "bad hour"),
        ("0 3 32 * *", "UTC", "bad day-of-month"),
        ("0 3 31 2 *", "UTC", "bad day-of-month"),
        ("0 3 * 13 *", "UTC", "bad month"),
        ("0 3 * * 8", "UTC", "bad day-of-week"),
        ("* * */20 * 1L", "UTC", "is never due, at least not in the next fifty years"),
        ("0 3 * * *", "Europe/Atlantis", "'Europe/Atlantis' is no time zone: say UTC, or a name such as"),
        ("0 3 * * *", "Europe", "is no time zone"),
        ("0 3 * * *", "", "is no time zone"),
        ("0 3 * * *", "../../etc/passwd", "is no time zone"),
        ("0 3 * * *", "UTC\x00", "is no time zone"),
        ("0 3 * * *", "+01:00", "is no time zone"),
    ],
)
def test_what_can_t_be_is_refused_with_the_reason(cron: str, zone: str, because: str) -> None:
    with pytest.raises(WrongTimetable) as refused:
        Timetable.read(cron, zone)
    assert because in str(refused.value)


def test_spaces_do_not_matter() -> None:
    assert Timetable.read("  0   3 * *\t1-5 ", "UTC") == Timetable("0 3 * * 1-5", ZoneInfo("UTC"))


def test_working_days_at_three_in_berlin() -> None:
    timetable = Timetable.read("0 3 * * 1-5", "Europe/Berlin")
    coming = islice(timetable.after(at("2026-03-26T12:00:00")), 3)
    assert [timetable.by_its_clocks(due) for due in coming] == [
        "2026-03-27 03:00+01:00",
        "2026-03-30 03:00+02:00",
        "2026-03-31 03:00+02:00",
    ]


def test_in_the_hour_that_comes_twice_no_due_time_is_one_that_is_over() -> None:
    """Seen from the second 2:10, 2:30 was due the first time only, forty minutes before that."""
    second = at("2026-10-25T01:10:00")
    assert Timetable.read("30 2 * * *", "Europe/Berlin").next_after(second) == at("2026-10-26T01:30:00")


@given(
    cron=st.lists(ITEM, min_size=5, max_size=5).map(" ".join) | st.text("0123456789*/,-L#W MON", max_size=20),
    zone=st.sampled_from(ZONES),
    moment=MOMENTS,
)
def test_whatever_is_typed_is_refused_or_due_later_and_later(cron: str, zone: str, moment: datetime) -> None:
    try:
        timetable = Timetable.read(cron, zone)
    except WrongTimetable:
        return
    dues = [due.astimezone(UTC) for due in islice(timetable.after(moment), 5)]
    assert all(one < other for one, other in zip([moment, *dues], dues, strict=False))


@pytest.mark.parametrize(
    ("seconds", "said"), [(60, "1 min"), (7199, "119 min"), (7200, "2 h"), (172_799, "47 h"), (172_800, "2 days")]
)
def test_a_delay_is_told_as_people_say_it(seconds: int, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said
