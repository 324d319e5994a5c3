"""The rules of campaigns: when one stops itself, and whose item comes first."""

import re
from dataclasses import dataclass
from datetime import datetime

from lifecycle.backfill import backfill_until

FEWEST = 20
"""So many items must have ended before a share of them says anything."""
NO_DEADLINE = 2**40


@dataclass(frozen=True, slots=True)
class StopRule:
    """How many failures a campaign bears: a share of those that ended, or a number."""

    share: float | None = None
    number: int | None = None

    @classmethod
    def parse(cls, text: str) -> "StopRule":
        """Read `5%`, `0.5%` or `100`. Raises ValueError for anything else."""
        if found := re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", text):
            share = float(found[1]) / 100
            if share <= 1:
                return cls(share=share)
        elif re.fullmatch(r"[0-9]{1,9}", text):
            return cls(number=int(text))
        raise ValueError(f"{text!r} is neither a share of up to 100% (5%) nor a number (100)")

    def is_broken(self, failed: int, ended: int) -> bool:
        """Say whether so many failures, of so many that ended, are more than is borne."""
        if self.number is not None:
            return failed > self.number
        return self.share is not None and ended >= FEWEST and failed > self.share * ended


def rank_of(expired_at: datetime | None, now: datetime) -> int:
    """Return where an item stands in the order: the unix second at which its 72 hours end, while they run."""
    if expired_at is None:
        return NO_DEADLINE
    deadline = backfill_until(expired_at)
    return int(deadline.timestamp()) if deadline > now else NO_DEADLINE
