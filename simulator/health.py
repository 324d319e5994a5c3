"""The health of a webhook destination: when Nylas calls it failing, and when it gives it up."""

FAILING_AFTER = 15 * 60
FAILED_AFTER = 72 * 3600
SHARE = 0.95
DOUBLINGS = 6


class Health:
    """Counts attempts from the first bad one on, as long as 95 of 100 are bad; a bad one is any but a 200."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._all = self._bad = 0
        self.in_a_row = 0

    def after(self, status: str, good: bool, now: float) -> str:
        """Return the status a destination has after one more attempt, at `now` in seconds.

        A failing one does not become active by itself, however well it does; only its owner can do that.
        (That Nylas never revives a *failed* one is documented; of a failing one nothing is said.)
        """
        self.in_a_row = 0 if good else self.in_a_row + 1
        if self._since is None:
            if good:
                return status
            self._since = now
        self._all += 1
        self._bad += not good
        if self._bad < SHARE * self._all:
            self._since, self._all, self._bad = None, 0, 0
            return status
        lasted = now - self._since
        if lasted >= FAILED_AFTER:
            return "failed"
        return "failing" if lasted >= FAILING_AFTER else status

    def pause(self, first: float) -> float:
        """Return the seconds to wait before the next attempt at a failing destination: each time twice as long."""
        return first * 2 ** min(self.in_a_row - 1, DOUBLINGS) if self.in_a_row else 0.0
