"""Nylas' rate limits for its auth APIs, and the pace that keeps a group of calls under its limit."""

import math
from dataclasses import dataclass

DETECT = "detect"

# We space departures, and Nylas counts arrivals: a call that is held up on its way comes closer to those behind it. So
# a window is a little longer than the one that Nylas counts (12 ms of a second), and the pace slower still (49.2 calls
# a second where 50 are allowed): what lies between the two is for catching up. See docs/adr/0008.
WIDER = 1.012
SLOWER = 1.0163
# How far the pace may fall behind (a process that woke up late, a slot that nobody came for) and still be caught up.
CATCH_UP_SLOTS = 3
CATCH_UP = 0.06


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `calls` in any `window` seconds, one every `interval` seconds (0: at once, while the window has room).

    `tolerance` is by how many seconds a call may come before its time after others came late.
    """

    calls: int
    window: float
    interval: float
    tolerance: float

    def share(self, processes: int) -> "RateLimit":
        """What one of so many processes may do if they can't agree, so that all of them together stay below."""
        return RateLimit(max(1, self.calls // processes), self.window, self.interval * processes, 0.0)


def limit_of(group: str, rate: float) -> RateLimit | None:
    """The limit of an API group where the application has `rate` calls a second for each; None for a rate of 0.

    Detecting a provider has a limit of its own, 20 a minute: somebody who types an address waits for each of them, so
    they go at once as long as the last minute has room.
    """
    if rate <= 0:
        return None
    if group == DETECT:
        return RateLimit(20, 60 * WIDER, 0.0, 0.0)
    calls = math.ceil(rate)
    period = calls / rate
    interval = period * SLOWER / calls
    return RateLimit(calls, period * WIDER, interval, max(CATCH_UP_SLOTS * interval, CATCH_UP))
