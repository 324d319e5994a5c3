"""The notifications that grants miss while they are invalid: kept for 72 hours, then lost."""

from collections import Counter
from collections.abc import Sequence

from simulator.events import Event

KEPT_SECONDS = 72 * 3600


class Missed:
    """By grant id: since when it is invalid, what it missed meanwhile, and how much it has lost for good."""

    def __init__(self) -> None:
        self.since: dict[str, int] = {}
        self.kept: dict[str, list[Event]] = {}
        self.lost: Counter[str] = Counter()

    def stopped(self, grant_id: str, now: int) -> None:
        """Note that a grant became invalid; if it was so already, the first time counts."""
        self.since.setdefault(grant_id, now)

    def keep(self, grant_id: str, events: Sequence[Event], now: int) -> None:
        """Keep what could not be sent."""
        self.stopped(grant_id, now)
        self.kept.setdefault(grant_id, []).extend(events)

    def resumed(self, grant_id: str, now: int) -> list[Event]:
        """Return what is to be sent now that the grant is valid again: all it missed, or nothing after 72 hours."""
        since, events = self.since.pop(grant_id, now), self.kept.pop(grant_id, [])
        if now - since <= KEPT_SECONDS:
            return events
        if events:
            self.lost[grant_id] += len(events)
        return []

    def forget(self, grant_id: str) -> None:
        """Note that the grant is deleted, and what it missed with it."""
        self.since.pop(grant_id, None)
        self.kept.pop(grant_id, None)
