"""How the memory and the open files of our processes grow, from when they are warm on."""

import asyncio
import time
from dataclasses import dataclass

from storm.parts import OURS, Parts
from storm.processes import memory_mb, open_files

WARM_AFTER, OLD_AFTER, EVERY = 20.0, 60.0, 2.0


@dataclass(slots=True)
class Watched:
    """One process: how it was when it was warm, and how it is now."""

    name: str
    since: float
    warm: tuple[float, int] | None = None
    now: tuple[float, int] = (0.0, 0)
    age: float = 0.0


class Growth:
    """Looks at our processes now and then."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._watched: dict[int, Watched] = {}

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            for name in OURS:
                if pid := self._parts.pid(name):
                    self._look(name, pid)
            await asyncio.sleep(EVERY)

    def _look(self, name: str, pid: int) -> None:
        one = self._watched.setdefault(pid, Watched(name, time.monotonic()))
        one.age = time.monotonic() - one.since
        memory = memory_mb(pid)
        if not memory:
            return
        one.now = (memory, open_files(pid))
        if one.warm is None and one.age >= WARM_AFTER:
            one.warm = one.now

    def ratios(self) -> dict[str, float]:
        """The greatest growth of each sort of part, among its processes that have become old."""
        found: dict[str, float] = {}
        for one in self._watched.values():
            if one.warm is None or one.age < OLD_AFTER:
                continue
            part = one.name.partition("-")[0]
            for what, before, after in zip(("memory", "open files"), one.warm, one.now, strict=True):
                key = f"{part}'s {what}"
                found[key] = max(found.get(key, 0.0), after / max(before, 1))
        return found
