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
    """When a call went, by our clock; `born` names the shared line that let it go (or nothing) at `let_go`, by its own.

    `is_news`: the line doesn't know of it, or believes that it went earlier than it did.
    """

    at: float
    born: str = ""
    let_go: int | None = None
    is_news: bool = True


class OwnClock:
    """The calls of one API group that this process made, by its own clock, and what it was told of the others.

    `born` names the shared line that answered last. `processes` are at work as far as it said; until then two are taken
    for granted, one for the web and one for the work.
    """

    def __init__(self, limit: RateLimit) -> None:
        """Know of no call yet."""
        self.born = ""
        self.processes = 2
        self._limit = limit
        self._calls: deque[Call] = deque()
        self._next = 0.0
        self._held_until = 0.0
        self._apart_until = 0.0
        self._went_alone_at = float("-inf")
        self._streak = 0
        self._quickest = float("inf")

    def hold(self, seconds: float) -> None:
        """Let nobody go before so many seconds are over; a shorter hold doesn't undo a longer one."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)

    def held(self) -> float:
        """For how many seconds nobody may go."""
        return max(0.0, self._held_until - time.monotonic())

    def went(self, let_go: int, *, asked: float) -> None:
        """Remember a call that the shared line let go, and that was asked for at `asked`.

        What is over the quickest answer of all may have passed between its leave and its going.
        """
        now = time.monotonic()
        self._quickest = min(self._quickest, now - asked)
        self._calls.append(Call(now, self.born, let_go, now - asked > self._quickest + LATE))

    def news(self) -> list[Call]:
        """The calls of the last window that the shared line doesn't know of, or not rightly."""
        self._forget()
        for call in self._calls:
            if call.born != self.born:
                call.born, call.let_go, call.is_news = self.born, None, True
        return [call for call in self._calls if call.is_news]

    def part(self, seconds: float = 0.0) -> None:
        """Go by this clock from now on, for so many seconds at least.

        The pace that all kept together ends here, so the first call waits its time.
        """
        now = time.monotonic()
        self._apart_until = now + seconds
        if not self.was_alone():
            self._next = now + self._share().interval

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
        self._streak = self._streak + 1 if other_waits and not bulk else 0
        self._next = now + share.interval
        self._went_alone_at = now
        self._calls.append(Call(now, self.born))
        return 0.0

    def _share(self) -> RateLimit:
        return self._limit.share(max(2, self.processes))

    def _forget(self) -> float:
        now = time.monotonic()
        while self._calls and self._calls[0].at <= now - self._limit.window:
            self._calls.popleft()
        return now
