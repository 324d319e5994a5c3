"""A mass expiry, simulated: how long the backlog takes at Nylas' limit, for one application and for many."""

import argparse
import heapq
import sys
from collections import deque
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from lifecycle.spells import GRACE
from tasks.observing import LONGEST_PATIENCE, PAGES_AT_ONCE, PATIENCE_EACH, WINDOW
from tasks.ways import cheapest, costs
from worker.rate_limits import SLOWER

NYLAS_RATE = 50.0
BULK_AFTER = 9
"""So many calls with somebody waiting go in a row while bulk waits: one in ten is bulk's."""
TO_LOSS = 72 * 3600


@dataclass(frozen=True, slots=True)
class Storm:
    """What happens: `grants` over all applications expire alike in each; it is told of within `told_within` seconds.

    `rate` is calls a second to each API group of an application; of the calls that renew, `interactive` a second have
    somebody waiting. `decided_after` seconds a campaign begins. A page takes `latency` seconds; one process looks at
    all of them. Whoever comes while pages are read waits for the next sweep, though the real one answers some of these.
    """

    grants: int = 1_000_000
    applications: int = 1
    rate: float = NYLAS_RATE / SLOWER
    interactive: float = 1.0
    told_within: float = 600.0
    grace: float = GRACE.total_seconds()
    decided_after: float = 900.0
    latency: float = 0.1

    @property
    def of_one(self) -> int:
        """The grants of one application."""
        return -(-self.grants // self.applications)


@dataclass(slots=True)
class Line:
    """Who goes next in one API group: whoever has somebody waiting, and bulk after nine of those."""

    streak: int = 0

    def bulk_goes(self, *, bulk: bool, interactive: bool) -> bool:
        """Say whether the next call is bulk's, given who waits."""
        goes = bulk and (not interactive or self.streak >= BULK_AFTER)
        if goes or not bulk:
            self.streak = 0
        elif interactive:
            self.streak += 1
        return goes


@dataclass(slots=True)
class Looks:
    """Looks at many grants: gathered while more come, then answered page by page, where pages are cheaper."""

    held: int
    waiting: int = 0
    done: int = 0
    _since: float | None = None
    _members: int = 0
    _calls: int = 0
    _asked: int = 0

    def ask(self, number: int, now: float) -> None:
        """Let so many more be wanted."""
        self.waiting += number
        if number and self._since is None and not self._members:
            self._since = now

    def gather(self, now: float, *, more_come: bool) -> None:
        """Begin a sweep if nobody more comes, or enough was waited for those who wait."""
        patience = min(LONGEST_PATIENCE, WINDOW + PATIENCE_EACH * self.waiting)
        if self._members or self._since is None or (more_come and now - self._since < patience):
            return
        self._members, self._since, self._asked = self.waiting, None, 0
        calls = costs(self._members, self.held, self.done)
        self._calls = calls[cheapest(calls)]

    def wants_call(self) -> bool:
        """Say whether a sweep is under way."""
        return self._members > 0

    def call(self, now: float) -> int:
        """One call of the sweep went; return how many it has answered."""
        self._asked += 1
        answered = -(-self._members // (self._calls - self._asked + 1))
        self._members -= answered
        self.waiting -= answered
        self.done += answered
        if not self._members and self.waiting:
            self._since = now
        return answered


@dataclass(frozen=True, slots=True)
class Moment:
    """How one application stands, so many seconds after the first word of it."""

    at: float
    arrived: int
    unseen: int
    unconfirmed: int
    unrenewed: int
    settled: int


@dataclass(slots=True)
class Course:
    """What became of it in one application; all applications do the same at the same time."""

    storm: Storm
    moments: list[Moment] = field(default_factory=list)
    confirmed_after: float = 0.0
    recovered_after: float = 0.0
    calls: int = 0
    lost: int = 0
    """Renewed later than 72 hours after they had expired: of these Nylas does not send what was missed."""


def simulate(storm: Storm, *, moments: int = 400) -> Course:
    """Let it happen, call by call, in one application."""
    number, step = storm.of_one, 1 / storm.rate
    first, second, line = Looks(number), Looks(number), Line()
    due: deque[tuple[float, int]] = deque()
    ranks: list[tuple[float, int]] = []
    open_items, settled, arrived, tick = 0, 0, 0, 0
    waits, pages_free = 0.0, 0.0
    course, keep = Course(storm), max(1, round(storm.rate * 30))
    while settled < number:
        now = tick * step
        fresh = min(number, int(number * now / storm.told_within) if storm.told_within else number) - arrived
        arrived += fresh
        first.ask(fresh, now)
        while due and due[0][0] <= now:
            second.ask(due.popleft()[1], now)
        first.gather(now, more_come=arrived < number)
        second.gather(now, more_come=second.done + second.waiting < number)
        # Of the group of grants: a look, if the pages that may be under way at once allow it.
        if now >= pages_free and (looks := next((one for one in (first, second) if one.wants_call()), None)):
            answered, course.calls = looks.call(now), course.calls + 1
            pages_free = now + max(0.0, storm.latency / PAGES_AT_ONCE - step)
            if looks is first:
                due.append((now + storm.grace, answered))
            else:
                open_items += answered
                heapq.heappush(ranks, (_expired_at(storm, second.done) + TO_LOSS, answered))
                course.confirmed_after = now
        # Of the group that renews: somebody who waits, or the item whose 72 hours end first.
        waits += storm.interactive * step
        begun = now >= storm.decided_after and open_items > 0
        if line.bulk_goes(bulk=begun, interactive=waits >= 1):
            deadline, same = heapq.heappop(ranks)
            if same > 1:
                heapq.heappush(ranks, (deadline, same - 1))
            open_items, settled = open_items - 1, settled + 1
            course.calls, course.lost = course.calls + 1, course.lost + (now > deadline)
            course.recovered_after = now + step
        elif waits >= 1:
            waits -= 1
        if tick % keep == 0 or settled == number:
            course.moments.append(Moment(now, arrived, first.waiting, first.done - second.done, open_items, settled))
        tick += 1
    course.moments = course.moments[:: max(1, len(course.moments) // moments)] + course.moments[-1:]
    return course


def _expired_at(storm: Storm, number: int) -> float:
    return storm.told_within * number / storm.of_one


def plot(courses: list[Course], file: Path) -> None:
    """Draw how many grants do not work yet, over time, for each number of applications."""
    import_module("matplotlib").use("Agg")  # installed only where this is drawn
    pyplot = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for course in courses:
        many = course.storm.applications
        shown = [moment for moment in course.moments if moment.at >= 60]
        minutes = [moment.at / 60 for moment in shown]
        broken = [(moment.arrived - moment.settled) * many / 1e6 for moment in shown]
        axes.plot(minutes, broken, label=f"{many} application{'s' if many > 1 else ''}: {_hours(course)}")
    axes.set(xlabel="minutes since the first word of it", ylabel="million grants that do not work", xscale="log")
    axes.set_title(f"{courses[0].storm.grants:,} grants expire; simulated, not measured")
    axes.legend()
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _hours(course: Course) -> str:
    return f"{course.recovered_after / 3600:.2f} h"


def main() -> None:
    """Simulate for 1, 10 and 200 applications; print what came of it, and draw it if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grants", type=int, default=1_000_000)
    parser.add_argument("--interactive", type=float, default=1.0, help="renewals a second that somebody waits for")
    parser.add_argument("--plot", type=Path)
    told = parser.parse_args()
    each = [Storm(told.grants, many, interactive=told.interactive) for many in (1, 10, 200)]
    courses = [simulate(storm) for storm in each]
    for course in courses:
        minutes = course.confirmed_after / 60
        sys.stdout.write(
            f"{course.storm.applications} applications: confirmed within {minutes:.1f} min, "
            f"recovered within {_hours(course)}, {course.calls} calls each, {course.lost} too late for the backfill\n"
        )
    if told.plot:
        plot(courses, told.plot)


if __name__ == "__main__":
    main()
