"""The brake: more of one kind of work in an hour than is normal stops that work until a human has looked."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

WINDOW = timedelta(hours=1)


class Braked(StrEnum):
    """The kinds of work that a brake can stop."""

    FLIPS = "flips"
    NOTICES = "notices"
    DELETIONS = "deletions"


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """How much of each is normal in an hour; 0 means that there is no limit."""

    flips: int = 20_000
    notices: int = 5_000
    deletions: int = 100

    def of(self, kind: Braked) -> int:
        """Return the limit of one kind."""
        return {Braked.FLIPS: self.flips, Braked.NOTICES: self.notices, Braked.DELETIONS: self.deletions}[kind]


def room_left(done: int, limit: int) -> int | None:
    """Say how much more may be done this hour, given how much was; None where there is no limit."""
    return None if limit == 0 else max(0, limit - done)
