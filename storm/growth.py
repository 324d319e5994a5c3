"""How the memory and the open files of our processes grow, from when they are warm on."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from storm.parts import OURS, Parts
from storm.processes import memory_mb, open_files

EVERY = 2.0
YOUNG, OLD, LATELY = 120.0, 240.0, 60.0
"""Seconds: of what age a process is warm, from what age on it is judged, and how far back its last looks go."""

MEASURED = ("memory", "open files")


@dataclass(slots=True)
class Life:
    """One process: the most that it had while it was young, and what it has had lately, each with its moment."""

    part: str
    since: float
    young: list[float] = field(default_factory=lambda: [0.0] * len(MEASURED))
    lately: deque[tuple[float, tuple[float, ...]]] = field(default_factory=deque)

    def saw(self, had: tuple[float, ...], *, now: float) -> None:
        """Note what it has now."""
        if now - self.since <= YOUNG:
            self.young = [max(pair) for pair in zip(self.young, had, strict=True)]
        self.lately.append((now, had))
        while self.lately[0][0] < now - LATELY:
            self.lately.popleft()

    @property
    def age(self) -> float:
        """Seconds from its first look to its last."""
        return self.lately[-1][0] - self.since


class Growth:
    """Looks at our processes now and then.

    A process fills its pools when it first has much to do, which a fault may make happen late: connections to the
    database up to ten, as many to Nylas and to products as it has calls under way, and a beat that takes over has more
    than one that stands by. So what an old process has when it has least to do is compared with the most that any
    young one of its sort had. What leaks goes beyond that, and what is only busy does not.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.lives: dict[int, Life] = {}
        """By their ids at the system."""

    async def watch(self, parts: Parts) -> None:
        """Look until cancelled."""
        while True:
            for name in OURS:
                if pid := parts.pid(name):
                    self.look(name, pid, now=time.monotonic())
            await asyncio.sleep(EVERY)

    def look(self, name: str, pid: int, *, now: float) -> None:
        """Look at one process, the first time soon after its start."""
        memory, files = memory_mb(pid), open_files(pid)
        if memory and files:  # else it has just ended
            self.lives.setdefault(pid, Life(name.partition("-")[0], now)).saw((memory, float(files)), now=now)

    def ratios(self) -> Mapping[str, float | None]:
        """The greatest growth of each sort of part, among its processes that have become old; None if none has."""
        return dict(self._ratios())

    def _ratios(self) -> Iterator[tuple[str, float | None]]:
        for part in dict.fromkeys(life.part for life in self.lives.values()):
            lives = [life for life in self.lives.values() if life.part == part]
            old = [life for life in lives if life.age >= OLD]
            for place, what in enumerate(MEASURED):
                young = max(life.young[place] for life in lives)
                least = [min(had[place] for _, had in life.lately) for life in old]
                yield f"{part}'s {what}", max(least) / young if least else None
