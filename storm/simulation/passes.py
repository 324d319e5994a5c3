"""Passes of work: a process does one thing, and may die at it, or be stopped for a while and go on later."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any
from uuid import UUID

from models.kinds import QUEUES, Queue
from storm.kills.life import app
from storm.simulation.process import Died, current
from storm.simulation.world import Hands, World
from tasks.notices.at_once import noting_deliveries
from worker.sweeper import ring_for_telling, sweep

Work = Callable[[Hands], Awaitable[Any]]
WORKERS = ("one", "two", "three")


class Staff:
    """Who works in a world, and who was stopped in the middle of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.stopped: dict[str, asyncio.Task[Any]] = {}

    def free(self, number: int = 0) -> str:
        """A worker that is not stopped."""
        names = [name for name in WORKERS if name not in self.stopped]
        return names[number % len(names)]

    def does(self, name: str, work: Work, *, dies_at: int | None = None, stops_at: int | None = None) -> Any:
        """Let a process do something; return what came of it, or None."""
        return self._world.run(self._does(name, work, dies_at, stops_at))

    def by_turns(self, first: Work, second: Work) -> None:
        """Let two processes work at the same time."""

        async def both() -> None:
            names = [name for name in WORKERS if name not in self.stopped][:2]
            works = (first, second)
            await asyncio.gather(*(self._does(*one, None, None, True) for one in zip(names, works, strict=False)))

        self._world.run(both())

    def goes_on(self, name: str) -> None:
        """Let one that was stopped go on, to the end of what it was at."""
        task = self.stopped.pop(name)
        self._world.hands[name].process.go_on()
        self._world.run(self._ends(name, task))

    async def _does(
        self, name: str, work: Work, dies_at: int | None, stops_at: int | None, by_turns: bool = False
    ) -> Any:
        if (last := self._world.hands.get(name)) and last.process.dead:
            await last.process.bury()  # it died between two passes
        hands = self._world.worker(name)
        process = hands.process
        process.begin(dies_at=dies_at, stops_at=stops_at, by_turns=by_turns)
        context = copy_context()
        context.run(current.set, process)

        async def run() -> Any:
            return await work(hands)

        task = context.run(asyncio.get_running_loop().create_task, run())
        if stops_at is not None:
            stopped = asyncio.ensure_future(process.stopped.wait())
            await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not task.done():
                self.stopped[name] = task
                return None
        return await self._ends(name, task)

    async def _ends(self, name: str, task: "asyncio.Task[Any]") -> Any:
        process, notes = self._world.hands[name].process, self._world.notes
        await asyncio.wait([task])
        if process.harmed:
            notes.interrupted += process.renewed
        if process.dead:
            await process.bury()
        if (error := task.exception()) is None:
            return task.result()
        if not process.harmed:
            notes.broken.append(f"{name} failed, and nothing had gone wrong: {error!r}")
        elif not isinstance(error, Exception | Died | BaseExceptionGroup):
            raise error
        return None


def on_message(kind: str, ids: list[UUID]) -> Work:
    """Do what a message asks for, as the worker's task does: and tell what it has led to."""

    async def work(hands: Hands) -> None:
        deliveries = noting_deliveries()
        await app.tasks[kind].run(hands.ctx, ids)
        match QUEUES.get(kind):
            case Queue.INTERACTIVE:
                await hands.onward.tell(hands.ctx, deliveries)
            case Queue.BULK:
                await ring_for_telling(hands.ctx, deliveries)

    return work


async def sweeps(hands: Hands) -> None:
    """Sweep once."""
    await sweep(hands.ctx)
