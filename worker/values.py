"""How the values of single settings are read; each raises ValueError with what would be right."""

import re
from datetime import time
from zoneinfo import available_timezones

HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def quiet_hours(text: str) -> tuple[time, time] | None:
    """Read the hours in which nobody is reminded; None if there are none."""
    if not text:
        return None
    match = HOURS.fullmatch(text)
    if not match or match.group(1, 2) == match.group(3, 4):
        raise ValueError("must be two times of day, such as 22:00-07:00")
    hour, minute, until_hour, until_minute = map(int, match.groups())
    return time(hour, minute), time(until_hour, until_minute)


def time_zone(name: str) -> str:
    """Return the name if it is one of a time zone."""
    if name not in available_timezones():
        raise ValueError("must be the name of a time zone, such as UTC or Europe/Berlin")
    return name


def reminder_days(text: str) -> tuple[int, ...]:
    """Read the days after the confirmation at which a reminder is due."""
    try:
        days = tuple(int(part) for part in text.split(","))
    except ValueError:
        days = ()
    if not days or list(days) != sorted(set(days)) or days[0] < 0 or days[-1] > 365:
        raise ValueError("must be days that grow, 365 at most, with commas between, such as 0,1,3,7,14")
    return days


def email_address(text: str) -> str:
    """Return the address if it looks like one."""
    if text and not re.fullmatch(r"[^@\s<>,\"]+@[^@\s<>,\"]+", text):
        raise ValueError("must be an email address, such as ops@example.com")
    return text
