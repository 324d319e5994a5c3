"""What a storm is going to be: which work arrives and which faults strike, and when. All of it follows from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from storm.poison import BODIES

DOUBLED, REORDERED, POISON = 0.2, 0.2, 0.01
LEAST_POISON = 6
LATEST = 3.0
LONG = 10.0
"""Seconds from which on a fault is a long one: long ones take half of a storm's time, if not all kinds can come."""
SIGN_INS = 0.04
STRIKES_BEFORE, STRIKES_WITHIN = 0.5, 2.5
"""When a fault strikes: before that part of its wave is over, and as many seconds.

The campaign that goes with some is asked for as its wave begins, and done within ten seconds.
"""


class Act(StrEnum):
    """What arrives."""

    EXPIRE = "expire"
    """A grant becomes invalid at Nylas, which says so."""
    HINT = "hint"
    """Nylas says something about a grant of which nothing has changed."""
    POISON = "poison"
    DELETE = "delete"
    SIGN_IN = "sign in"
    """A user whom we know comes back by hosted OAuth."""
    ARRIVE = "arrive"
    """A user whom nobody knew yet signs in."""
    CAMPAIGN = "campaign"
    COMMAND = "command"


WEBHOOKS = (Act.EXPIRE, Act.HINT, Act.DELETE, Act.POISON)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One thing that arrives, so many seconds after its wave began; a reordered webhook comes `late` seconds later."""

    after: float
    act: Act
    whom: int
    doubled: bool = False
    late: float = 0.0
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the plan must know of a kind of fault. Some do harm only to renewals, so that a campaign goes with them."""

    name: str
    seconds: float
    with_campaign: bool = False


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that is to strike, so many seconds after its wave began; `draw` chooses its victim."""

    kind: str
    after: float
    draw: int


@dataclass(frozen=True, slots=True)
class Wave:
    """A stretch of the storm: what arrives in it, and the one fault that strikes meanwhile, if any."""

    number: int
    arrivals: tuple[Arrival, ...]
    strike: Strike | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole storm. The first wave and the last are calm."""

    seed: int
    waves: tuple[Wave, ...]

    @property
    def strikes(self) -> list[Strike]:
        """All faults that are to strike."""
        return [wave.strike for wave in self.waves if wave.strike]

    @property
    def campaigns(self) -> int:
        """How many campaigns are asked for."""
        return sum(arrival.act is Act.CAMPAIGN for wave in self.waves for arrival in wave.arrivals)

    @property
    def webhooks(self) -> int:
        """How many webhooks arrive, doubles not counted."""
        return sum(arrival.act in WEBHOOKS for wave in self.waves for arrival in wave.arrivals)


def make_plan(
    seed: int,
    kinds: Sequence[Kind],
    *,
    events: int,
    faults: int,
    seconds: float,
    users: int,
    for_long: float | None = None,
) -> Plan:
    """Draw a plan. The same arguments make the same plan.

    With as many faults as there are kinds, each kind comes. Else long ones take half of the time, or `for_long`.
    """
    draw = random.Random(seed)
    chosen = _choose(draw, kinds, faults, seconds / 2 if for_long is None else for_long)
    waves, span = faults + 2, seconds / (faults + 2)
    cuts = [events * number // waves for number in range(waves + 1)]
    campaigns_each = max(1, waves // 6)
    made, expired = list[Wave](), list[int]()
    for number in range(waves):
        kind = chosen[number - 1] if 0 < number <= faults else None
        arrivals = _webhooks(draw, cuts[number + 1] - cuts[number], span, users, max(POISON, LEAST_POISON / events))
        expired += [arrival.whom for arrival in arrivals if arrival.act is Act.EXPIRE]
        arrivals += _people(draw, max(1, round(len(arrivals) * SIGN_INS)), span, expired or [0])
        if (kind and kind.with_campaign) or number % campaigns_each == 0:
            arrivals.append(Arrival(0.0, Act.CAMPAIGN, draw.randrange(users)))
        elif number % 2:
            arrivals.append(Arrival(draw.uniform(0, span), Act.COMMAND, draw.randrange(users)))
        latest = min(STRIKES_BEFORE * span, STRIKES_WITHIN)
        strike = Strike(kind.name, draw.uniform(0, latest), draw.randrange(1_000)) if kind else None
        made.append(Wave(number, tuple(sorted(arrivals, key=lambda arrival: arrival.after)), strike))
    return Plan(seed, tuple(made))


def _choose(draw: random.Random, kinds: Sequence[Kind], faults: int, for_long: float) -> list[Kind]:
    """Choose faults: all kinds before any comes again, but for long ones that would take too much of the time.

    That they come at all goes before: where there is room for each kind, the time has an end only for the next round.
    """
    chosen = draw.sample(list(kinds), len(kinds)) if faults >= len(kinds) else []
    for_long -= sum(kind.seconds for kind in chosen if kind.seconds >= LONG)
    while len(chosen) < faults:
        taken = len(chosen)
        for kind in draw.sample(list(kinds), len(kinds)):
            if len(chosen) == faults:
                break
            if kind.seconds >= LONG:
                if kind.seconds > for_long:
                    continue  # it would leave too little to the others
                for_long -= kind.seconds
            chosen.append(kind)
        if len(chosen) == taken:
            raise ValueError("no kind of fault is short enough for a storm of so few seconds")
    return chosen


def _webhooks(draw: random.Random, count: int, span: float, users: int, poison: float) -> list[Arrival]:
    made = []
    for _ in range(count):
        chance = draw.random()
        if chance < poison:
            act, kind = Act.POISON, draw.choice(sorted(BODIES))
        elif chance < poison + 0.30:
            act, kind = Act.EXPIRE, ""
        elif chance < poison + 0.32:
            act, kind = Act.DELETE, ""
        else:
            act, kind = Act.HINT, draw.choice(["grant.updated", "grant.updated", "grant.created", "grant.expired"])
        doubled = draw.random() < DOUBLED
        late = draw.uniform(0.1, LATEST) if draw.random() < REORDERED else 0.0
        made.append(Arrival(draw.uniform(0, span), act, draw.randrange(users), doubled, late, kind))
    return made


def _people(draw: random.Random, count: int, span: float, expired: Sequence[int]) -> list[Arrival]:
    """Most of those who sign in have reason to."""
    acts = [Act.SIGN_IN, Act.SIGN_IN, Act.ARRIVE]
    return [Arrival(draw.uniform(0, span), draw.choice(acts), draw.choice(expired)) for _ in range(count)]
