"""A process that is simulated: it passes points, and at one of them it may die, or be stopped for a while."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from random import Random
from typing import Any

current: ContextVar["Process | None"] = ContextVar("process", default=None)


class Died(BaseException):
    """The process is no more: whatever of it still runs ends at its next point."""


class Process:
    """All tasks that were started in it, and whether they may go on.

    A point is passed before and after each request, and each transaction that writes. Who is dead gets no further, and
    what it has not committed is gone; who is stopped waits at its next point outside of a transaction, and reads
    nothing meanwhile.
    """

    def __init__(self, name: str, trace: Callable[[str], None], chance: Random) -> None:
        self.name, self._trace, self._chance = name, trace, chance
        self.tasks: set[asyncio.Task[Any]] = set()
        self.dead = False
        self.passed = 0
        self.dies_at: int | None = None
        self.stops_at: int | None = None
        self.by_turns = False
        """Whether another one works at the same time: then each waits a moment at each point."""
        self.stopped = asyncio.Event()
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self.renewed = 0
        """Renewals that this pass of work has made at Nylas."""
        self.harmed = False
        """Whether something happened to this pass, so that it may not have kept what it did."""

    def begin(self, *, dies_at: int | None = None, stops_at: int | None = None, by_turns: bool = False) -> None:
        """Begin with a pass of work."""
        self.passed, self.dies_at, self.stops_at, self.by_turns = 0, dies_at, stops_at, by_turns
        self.renewed, self.harmed = 0, False

    async def passes(self, point: str, *, may_stop: bool = True) -> None:
        """Pass a point."""
        self._still_lives()
        self.passed += 1
        self._trace(f"{self.name}: {point}")
        if self.dies_at is not None and self.passed >= self.dies_at:
            self.die()
            raise Died
        if may_stop and self.stops_at is not None and self.passed >= self.stops_at:
            self.stops_at, self.harmed = None, True
            self._goes_on.clear()
            self.stopped.set()
        if self.by_turns and may_stop:
            await asyncio.sleep(self._chance.choice((0, 0.001, 0.002)))
        if may_stop:
            await self.stands_still()
        self._still_lives()

    async def stands_still(self) -> None:
        """Wait while it is stopped."""
        if not self._goes_on.is_set():
            await self._goes_on.wait()
            self._still_lives()

    def _still_lives(self) -> None:
        if self.dead:
            raise Died

    def go_on(self) -> None:
        """Let it go on where it was stopped."""
        self.stopped.clear()
        self._goes_on.set()

    def die(self) -> None:
        """Be no more."""
        self.dead = self.harmed = True
        self.go_on()

    async def bury(self) -> None:
        """End all tasks that it has left."""
        self.die()
        while rest := {task for task in self.tasks if not task.done()}:
            for task in rest:
                task.cancel()
            await asyncio.wait(rest)


async def passes(point: str, *, may_stop: bool = True) -> None:
    """Let the process whose task this is pass a point; who is nobody's passes none."""
    if process := current.get():
        await process.passes(point, may_stop=may_stop)


def new_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    """Start a task; it belongs to the process that starts it."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    if process := current.get():
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task
