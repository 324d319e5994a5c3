"""The courses, by name: where each is written, and how large it is in a trial."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.course import Course


@dataclass(frozen=True, slots=True)
class Entry:
    """A course that is only imported when it is to be run, so that what it lacks is its own trouble alone."""

    module: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    trial: Mapping[str, Any] = field(default_factory=dict)

    def course(self, *, quick: bool) -> Course:
        """Make it, in full size or for a quick trial."""
        made: Course = importlib.import_module(self.module).course(**{**self.sizes, **(self.trial if quick else {})})
        return made


COURSES: dict[str, Entry] = {
    "reauth": Entry("bench.reauth.course", {"latency_ms": 20}, {"grants": 300}),
    "reauth-slow": Entry("bench.reauth.course", {"latency_ms": 300}, {"grants": 300}),
    "intake": Entry("bench.intake", trial={"seconds": 1.0, "requests": 5_000}),
    "events": Entry("bench.events", trial={"events": 500, "singles": 10}),
    "starting": Entry("bench.starting"),
    "growth": Entry("bench.growth", trial={"sizes": (1_000, 10_000)}),
}
