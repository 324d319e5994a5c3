"""A course: one piece of work that several contestants do in turn, and what is measured while they do it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

Figures = dict[str, float]
"""What one contestant did in one round, by name with its unit at the end: `per_second`, `cpu_ms_each`, `p99_ms`."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody who can do the work of a course; `run` does it once, from a clean slate, and says how it went.

    What it needs for that (processes, rows) it sets up and takes down itself, outside of the time that it measures.
    """

    name: str
    run: Callable[[], Figures]


@dataclass(frozen=True, slots=True)
class Course:
    """The work, and who does it: Evergrant first, then its peers, then the limits that none can pass.

    `better` names the figures of which more is better; of all others less is. `stage` holds what all share (the
    servers, the database) for the length of the course.
    """

    name: str
    what: str
    stage: Callable[[], AbstractContextManager[Sequence[Contestant]]]
    better: frozenset[str] = frozenset({"per_second"})
