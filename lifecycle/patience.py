"""How long whoever does not take what is told is tried again, and how long between."""

from datetime import timedelta

PATIENCE = timedelta(days=3)
"""After so long without success a delivery is set aside for a human."""

SHORTEST = timedelta(seconds=5)
LONGEST = timedelta(minutes=30)


def pause(failing_for: timedelta, *, chance: float, told: timedelta | None = None) -> timedelta:
    """Say how long to wait with the next attempt: half as long as it has failed, so each wait is longer than the last.

    It never exceeds half an hour, give or take a quarter that is drawn by `chance` (0 ≤ chance < 1). What the other
    side told (`Retry-After`) is kept to, up to an hour.
    """
    wait: timedelta = min(max(failing_for / 2, SHORTEST), LONGEST) * (0.75 + chance / 2)
    return max(wait, min(told, 2 * LONGEST)) if told else wait
