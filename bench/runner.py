"""Running a course: each round every contestant in turn, and another one first each time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.course import Contestant, Course, Figures

LONGEST_REASON = 600


@dataclass(slots=True)
class Result:
    """What one contestant did: its figures of each round that went well, and why the others did not."""

    name: str
    rounds: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def figures(self) -> list[str]:
        """The names of its figures, in the order in which it gives them."""
        return list(dict.fromkeys(name for figures in self.rounds for name in figures))

    def values(self, figure: str) -> list[float]:
        """A figure in each round that has it."""
        return [figures[figure] for figures in self.rounds if figure in figures]

    def median(self, figure: str) -> float | None:
        """The median over the rounds, if there is any."""
        values = self.values(figure)
        return median(values) if values else None

    def ratio(self, figure: str, to: "Result") -> float | None:
        """Its median over that of another one."""
        ours, theirs = self.median(figure), to.median(figure)
        return ours / theirs if ours is not None and theirs else None


@dataclass(slots=True)
class Outcome:
    """What came of a course; `failed` says why it could not even begin."""

    course: str
    name: str
    what: str
    better: list[str]
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0
    failed: str = ""

    @property
    def figures(self) -> list[str]:
        """The names of all figures."""
        return list(dict.fromkeys(name for result in self.results for name in result.figures))


def run(key: str, course: Course, rounds: int, tell: Callable[[str], None]) -> Outcome:
    """Run a course; `tell` hears how it goes."""
    outcome = Outcome(key, course.name, course.what, sorted(course.better))
    began = time.monotonic()
    try:
        with course.stage() as contestants:
            outcome.results = [Result(contestant.name) for contestant in contestants]
            for number in range(rounds):
                for place in _turns(len(contestants), number):
                    tell(f"{course.name}: round {number + 1} of {rounds}, {contestants[place].name}")
                    _take_turn(contestants[place], outcome.results[place], number)
    except Exception as error:  # the other courses are still to be run
        outcome.failed = _reason(error)
    outcome.seconds = time.monotonic() - began
    return outcome


def _turns(contestants: int, number: int) -> Sequence[int]:
    """The order of a round: whoever was second is first in the next one."""
    return [(number + place) % contestants for place in range(contestants)] if contestants else []


def _take_turn(contestant: Contestant, result: Result, number: int) -> None:
    try:
        result.rounds.append(contestant.run())
    except Exception as error:  # whatever it is, it is this contestant's failure, and is reported as that
        result.failures.append(f"round {number + 1}: {_reason(error)}")


def _reason(error: Exception) -> str:
    said = str(error).strip()
    return f"{type(error).__name__}: {said}"[:LONGEST_REASON] if said else type(error).__name__
