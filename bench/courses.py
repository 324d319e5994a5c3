"""The courses, by name: where each is written, and how large it is in a trial."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.course import Course


@dataclass(frozen=True, slots=True)
class Entry:
    """A course that is only imported when it is to be run, so that what it lacks is its own trouble alone."""

    module: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    trial: Mapping[str, int] = field(default_factory=dict)

    def course(self, *, quick: bool) -> Course:
        """Make it, in full size or for a quick trial."""
        made: Course = importlib.import_module(self.module).course(**{**self.sizes, **(self.trial if quick else {})})
        return made


COURSES: dict[str, Entry] = {
    "reauth": Entry("bench.reauth.course", {"latency_ms": 20}, {"grants": 300}),
    "reauth-slow": Entry("bench.reauth.course", {"latency_ms": 300}, {"grants": 300}),
    "intake": Entry("bench.intake"),
    "events": Entry("bench.events"),
    "starting": Entry("bench.starting"),
    "growth": Entry("bench.growth"),
}
