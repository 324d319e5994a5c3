"""The log of calls: who called what, how often, how many at once."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from simulator.answers import Json
from simulator.limiter import Window

KEPT = 200_000
# A million grants asked for one by one must not fill the memory: so many are told apart, the rest only counted.
MOST_GRANTS = 400_000
MOST_PATHS = 1000


@dataclass(slots=True)
class Call:
    """One call to `/v3`; `status` is None until it is answered, and stays so if it never was."""

    arrived: float
    method: str
    path: str
    answered: float | None = None
    status: int | None = None

    def view(self) -> Json:
        """Return it as JSON."""
        return {
            "arrived": self.arrived,
            "answered": self.answered,
            "method": self.method,
            "path": self.path,
            "status": self.status,
        }


class Calls:
    """Counts of all calls, and the last of them in detail."""

    def __init__(self) -> None:
        self.total = self.in_flight = self.max_in_flight = 0
        self.by_path: Counter[str] = Counter()
        self.by_grant: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.not_told_apart = 0
        self.codes: Counter[str] = Counter()
        self.code_ends: defaultdict[str, list[int | None]] = defaultdict(list)
        self.renewals: Counter[str] = Counter()
        self.renewed_at: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self.per_second: Counter[int] = Counter()
        self.statuses: Counter[str] = Counter()
        self.last: deque[Call] = deque(maxlen=KEPT)
        self.busiest_second: Counter[str] = Counter()
        self._seconds: defaultdict[str, Window] = defaultdict(lambda: Window(1.0))

    def arrive(
        self, method: str, path: str, template: str, group: str, grants: Iterable[str], *, now: float | None = None
    ) -> Call:
        """Count a call that has come in, faults and refusals included."""
        call = Call(time.time() if now is None else now, method, path)
        route = f"{method} {template}"
        if route not in self.by_path and len(self.by_path) >= MOST_PATHS:
            route = "others"
        self.last.append(call)
        self.total += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.by_path[route] += 1
        self.per_second[int(call.arrived)] += 1
        in_this_second = self._seconds[group].add(call.arrived)
        if in_this_second > self.busiest_second[group]:
            self.busiest_second[group] = in_this_second
        for grant in grants:
            if grant in self.by_grant or len(self.by_grant) < MOST_GRANTS:
                self.by_grant[grant][route] += 1
            else:
                self.not_told_apart += 1
        return call

    def leave(self, call: Call, status: int | None) -> None:
        """Count how a call ended; None means that the caller never got a whole answer."""
        call.answered, call.status = time.time(), status
        self.in_flight -= 1
        self.statuses["dropped" if status is None else str(status)] += 1

    def view(self, *, detail: bool) -> Json:
        """Return all counts, and with `detail` the calls themselves."""
        counted: Json = {
            "total": self.total,
            "by_path": self.by_path,
            "by_grant": self.by_grant,
            "not_told_apart": self.not_told_apart,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "codes_exchanged": self.codes,
            "code_ends": self.code_ends,
            "renewals": self.renewals,
            "renewed_at": self.renewed_at,
            "per_second": self.per_second,
            "busiest_second": self.busiest_second,
            "statuses": self.statuses,
        }
        return counted | {"calls": [call.view() for call in self.last]} if detail else counted
