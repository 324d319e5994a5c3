"""What the brake leaves to a process before the next count: counting all that was done is dear when it is much."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SHARE = 10
"""Of the room that a count has found, a process takes this part before it counts again: so ten take no more of it."""
LASTS = timedelta(minutes=1)


@dataclass(slots=True)
class Spare:
    """What a process may do uncounted. Near the limit that is nothing, and each time is counted."""

    left: int = 0
    limit: int = 0
    until: datetime | None = None

    def take(self, many: int, *, limit: int, now: datetime) -> bool:
        """Take so many, if they were found to be normal lately, and by this limit."""
        if self.until is None or now >= self.until or limit != self.limit or many > self.left:
            return False
        self.left -= many
        return True

    def found(self, room: int, *, limit: int, now: datetime) -> None:
        """Take a share of the room that a count has found."""
        self.left, self.limit, self.until = room // SHARE, limit, now + LASTS
