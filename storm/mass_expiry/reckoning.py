"""What came of a mass expiry: the figures, and what of it was not as promised."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from storm.disk import stalls
from storm.invariants import quantile
from storm.stretches import Times, within

CALM_WITHIN = 0.05
CALLS_A_SECOND = 50
MOST_MEMORY_MB = 256
GRANTS_A_CALL = 10
A_FEW_CALLS = 100
A_SECOND, AN_HOUR = timedelta(seconds=1), timedelta(hours=1)
OPENED = "incident.opened"


@dataclass(slots=True)
class Sending:
    """What the senders saw; times are in seconds, moments are of the monotonic clock."""

    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    answers: Times = field(default_factory=list)
    """Of the webhooks that got 200, from the moment each was on its way."""
    late: list[float] = field(default_factory=list)
    disk: Times = field(default_factory=list)
    """Of small writes of the storm's own, until each was durable."""
    seconds: float = 0.0


@dataclass(slots=True)
class Opened:
    """An incident, its own count of its grants, and how many notices of an expiry it holds."""

    scope: str
    subject: str
    grants: int
    holds: int


@dataclass(slots=True)
class Reckoning:
    """All that is known when it is over."""

    grants: int
    credential: str
    notices_an_hour: int
    sending: Sending = field(default_factory=Sending)
    ends: Counter[str] = field(default_factory=Counter)
    """How the events of the webhooks ended."""
    still_open: int = 0
    expired_here: int = 0
    expired_rightly: int = 0
    """How many grants stand as expired here and as invalid at Nylas."""
    incidents: list[Opened] = field(default_factory=list)
    heard: list[tuple[str, datetime]] = field(default_factory=list)
    """The notices that the product heard: their kinds, and when."""
    calls: Counter[str] = field(default_factory=Counter)
    busiest_second: int = 0
    too_many: int = 0
    """How many calls Nylas refused with 429."""
    memory_mb: dict[str, float] = field(default_factory=dict)
    """The most that each of our processes ever had resident."""
    deaths: list[str] = field(default_factory=list)
    settled_after: dict[str, float] = field(default_factory=dict)
    """Seconds from the first webhook until hints, and then second looks, were settled."""

    @property
    def p99(self) -> float:
        """Of the answers with 200."""
        return quantile([took for _, took in self.sending.answers], 0.99)

    @property
    def p99_on_a_good_disk(self) -> float:
        """Of those of them that met no stall of the disk."""
        standing_still = stalls(self.sending.disk)
        return quantile([took for at, took in self.sending.answers if not within(at, took, standing_still)], 0.99)

    @property
    def late(self) -> float:
        """By how much a timer of the senders' own was late."""
        return quantile(self.sending.late, 0.99)

    def heard_within(self, window: timedelta, kind: str = "") -> int:
        """The most notices (of a kind) that the product heard within any such time."""
        times = sorted(at for told, at in self.heard if told.startswith(kind))
        first = most = 0
        for number, at in enumerate(times):
            while times[first] <= at - window:
                first += 1
            most = max(most, number - first + 1)
        return most

    def broken(self, *, by_the_clock: bool = True) -> list[str]:
        """Say what is not as promised; `by_the_clock`: times and memory as well."""
        found = [*self._lost(), *self._told_wrongly(), *self._asked_too_much()]
        return [*found, *self._too_slow_or_large()] if by_the_clock else found

    def _lost(self) -> Iterator[str]:
        if self.sending.taken != self.grants:
            yield f"{self.sending.taken} of {self.grants} webhooks were taken"
        if strange := set(self.sending.refused) - {"503"}:
            yield f"webhooks were refused with {', '.join(sorted(strange))}"
        if self.ends != {"done": self.grants}:
            yield f"of {self.grants} events {dict(self.ends)} came to an end"
        if self.still_open:
            yield f"{self.still_open} events are not settled"
        if (self.expired_here, self.expired_rightly) != (self.grants, self.grants):
            yield f"{self.expired_here} grants are expired here, {self.expired_rightly} of them at Nylas"
        if self.deaths:
            yield f"died: {', '.join(self.deaths)}"

    def _told_wrongly(self) -> Iterator[str]:
        wanted = [("credential", self.credential, self.grants)]
        if [(one.scope, one.subject, one.holds) for one in self.incidents] != wanted:
            yield f"the incidents are {self.incidents}"
        kinds = Counter(kind for kind, _ in self.heard)
        if kinds != {OPENED: 1}:
            yield f"the product heard {dict(kinds)}"
        if (most := self.heard_within(AN_HOUR, "grant.")) > self.notices_an_hour:
            yield f"{most} notices about grants were told within an hour; {self.notices_an_hour} may be"

    def _asked_too_much(self) -> Iterator[str]:
        if (calls := self.calls.total()) > self.grants // GRANTS_A_CALL + A_FEW_CALLS:
            yield f"{calls} calls were made for {self.grants} grants"
        if self.busiest_second > CALLS_A_SECOND:
            yield f"{self.busiest_second} calls came to Nylas within a second"

    def _too_slow_or_large(self) -> Iterator[str]:
        if (slow := self.p99 - self.late) > CALM_WITHIN:
            yield f"99 % of webhooks were answered within {slow * 1_000:.0f} ms; {CALM_WITHIN * 1_000:.0f} are promised"
        for name, most in self.memory_mb.items():
            if most > MOST_MEMORY_MB:
                yield f"{name} had {most:.0f} MB; {MOST_MEMORY_MB} are enough"
