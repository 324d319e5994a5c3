"""The clock, as a value that is passed in."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Read this machine's clock, as aware UTC."""
    return datetime.now(UTC)
