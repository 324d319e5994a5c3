"""What one process knows by itself of its calls to Nylas: enough to keep to its share without Redis."""

import time
from collections import deque
from dataclasses import dataclass

from worker.rate_limits import RateLimit

BULK_AFTER = 9
OTHERS_MAY_BE_ALONE = 3.0
LATE = 0.002


@dataclass(slots=True)
class Call:
    """A call that went: `at` by our clock, in seconds.

    `line` is the shared line that knows of it, and `believed` when it believes that the call went, in microseconds of
    its own clock; `let_go`, by that clock too, is when it let it go, if it was the one that did.
    """

    at: float
    line: str | None = None
    believed: int | None = None
    let_go: int | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What a shared line should hear of a call: it went so many seconds later than believed, or is unknown to it.

    For an unknown one (`believed` is None) the seconds are since it went.
    """

    call: Call
    believed: int | None
    seconds: float


class OwnClock:
    """The calls of one API group that this process made, by its own clock, and what it was told of the others.

    `line` names the shared line that answered last. `processes` are at work as far as it said; until then two are taken
    for granted, one for the web and one for the work.
    """

    def __init__(self, limit: RateLimit) -> None:
        """Know of no call yet."""
        self.line = ""
        self.processes = 2
        self._limit = limit
        self._calls: deque[Call] = deque()
        self._next = 0.0
        self._held_until = 0.0
        self._apart_until = 0.0
        self._went_alone_at = float("-inf")
        self._streak = 0

    def hold(self, seconds: float) -> None:
        """Let nobody go before so many seconds are over; a shorter hold doesn't undo a longer one."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)

    def held(self) -> float:
        """For how many seconds nobody may go."""
        return max(0.0, self._held_until - time.monotonic())

    def went(self, let_go: int) -> None:
        """Remember a call that the shared line let go, at this time of its clock."""
        self._calls.append(Call(time.monotonic(), self.line, let_go, let_go))

    def news(self) -> list[News]:
        """What the shared line should hear of the calls of the last window.

        The two clocks have nothing in common, so a call went late by what lay between its leave and its going, less
        what lay there for the quickest one.
        """
        now = self._forget()
        news, delays = [], []
        for call in self._calls:
            if call.line != self.line:
                news.append(News(call, None, now - call.at))
            elif call.let_go is not None:
                delays.append((call.at - call.let_go / 1_000_000, call))
        quickest = min((delay for delay, _ in delays), default=0.0)
        for delay, call in delays:
            later = delay - quickest - ((call.believed or 0) - (call.let_go or 0)) / 1_000_000
            if later > LATE:
                news.append(News(call, call.believed, later))
        return news

    def told(self, news: list[News]) -> None:
        """Remember that the shared line heard the news."""
        for heard in news:
            if heard.believed is None:
                heard.call.line, heard.call.believed, heard.call.let_go = self.line, None, None
            else:
                heard.call.believed = heard.believed + round(heard.seconds * 1_000_000)

    def part(self, seconds: float = 0.0) -> None:
        """Go by this clock from now on, for so many seconds at least.

        The pace that all kept together ends here, so the first call waits its time.
        """
        now = time.monotonic()
        self._apart_until = now + seconds
        if not self.was_alone():
            self._next = now + self._share().interval

    def came_back(self) -> None:
        """Go by the shared line again, which let us in. Who says no more that others may be alone sets nobody apart."""
        self._went_alone_at = float("-inf")

    def is_apart(self) -> bool:
        """Whether this clock has to be kept to, with or without Redis."""
        return time.monotonic() < self._apart_until

    def was_alone(self) -> bool:
        """Whether calls went by this clock so lately that other processes may still go by theirs."""
        return time.monotonic() - self._went_alone_at < OTHERS_MAY_BE_ALONE

    def ask(self, *, bulk: bool, other_waits: bool) -> float:
        """Let a call go (0), or say in how many seconds to ask again.

        `other_waits`: somebody waits before this call if it is bulk, and bulk if it isn't.
        """
        now = self._forget()
        share = self._share()
        due = self._next
        if len(self._calls) >= share.calls:
            due = max(due, self._calls[-share.calls].at + share.window)
        if now < due:
            return due - now
        if other_waits and bulk != (self._streak >= BULK_AFTER):
            return max(share.interval / 4, 0.005)
        self._streak = 0 if bulk else self._streak + other_waits
        self._next = now + share.interval
        self._went_alone_at = now
        self._calls.append(Call(now))
        return 0.0

    def _share(self) -> RateLimit:
        return self._limit.share(max(2, self.processes))

    def _forget(self) -> float:
        now = time.monotonic()
        while self._calls and self._calls[0].at <= now - self._limit.window:
            self._calls.popleft()
        return now
