"""How long to wait before the next attempt."""

from datetime import timedelta

LONGEST = timedelta(minutes=10)


def delay_before(attempt: int, *, chance: float, first: timedelta = timedelta(seconds=1)) -> timedelta:
    """Say how long to wait before attempt number `attempt` (2 is the first repetition).

    Equal jitter: half of an exponentially growing delay is certain, the other half is drawn by `chance`
    (0 ≤ chance < 1). Full jitter would let part of a crowd return at once, just where it was told to slow down.
    """
    ceiling: timedelta = min(first * float(2 ** min(max(attempt - 1, 0), 20)), LONGEST)
    return ceiling / 2 + ceiling / 2 * chance
