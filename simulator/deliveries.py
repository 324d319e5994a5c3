"""The delivery of events to webhooks: signed, retried, and on demand dropped, doubled or out of order."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress

from simulator.answers import Json
from simulator.clock import Clock
from simulator.courier import Courier
from simulator.events import Event
from simulator.hooks import Hook

MODES = ("normal", "drop", "double", "reorder", "delay")
RETRIED = {408, 429, 502, 503, 504, 507}
ATTEMPTS = 3
# Seconds before the second and third attempt. Nylas says only: ever longer, and the last 10 to 20 minutes after the
# first.
NYLAS_WAITS = (180.0, 720.0)
WINDOW = 0.2
KEPT = 200_000


class Deliveries:
    """Each webhook has a lane; a lane keeps the order, but a retry waits beside it and rejoins at its end.

    `parallel` is how many of one lane are on their way at once: 1 keeps the order of arrival too. All waits are by
    Nylas' clock, so moving that forward ends them.
    """

    def __init__(self, courier: Courier, waits: Sequence[float]) -> None:
        self.courier = courier
        self._first_waits = tuple(waits)
        self._tasks: set[asyncio.Task[None]] = set()
        self.reset(Clock())

    def reset(self, clock: Clock) -> None:
        """Forget webhooks, events and modes, and call back what is on its way."""
        for task in self._tasks:
            task.cancel()
        self.clock = clock
        self.hooks: dict[str, Hook] = {}
        self.held: dict[str, Event] = {}
        self.log: deque[Json] = deque(maxlen=KEPT)
        self.mode, self.delay, self.parallel, self.waits = "normal", 0.0, 1, self._first_waits
        self.retry_to_all = False
        self._lanes: dict[str, deque[tuple[Event, int]]] = {}
        self._busy: dict[str, int] = {}
        self._gathered: list[Event] = []
        self._retried: set[tuple[str, int]] = set()

    async def close(self) -> None:
        """Call everything back and hang up."""
        tasks = list(self._tasks)
        self.reset(self.clock)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.courier.close()

    @property
    def pending(self) -> int:
        """How much is still under way or waiting: 0 when all is delivered, or given up."""
        return len(self._tasks) + sum(map(len, self._lanes.values()))

    async def settled(self, seconds: float) -> None:
        """Wait until nothing is pending, but no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)

    def send(self, event: Event, *, times: int = 1, delay: float = 0) -> None:
        """Send an event in the current mode, in the background."""
        match self.mode:
            case "drop":
                self._note(event, None, 0, None, "dropped")
            case "reorder":
                if not self._gathered:
                    self._spawn(self._send_gathered(delay + (self.delay or WINDOW)))
                self._gathered.extend([event] * times)
            case "double":
                self._send_after(delay, event, 2 * times)
            case "delay":
                self._send_after(delay + self.delay, event, times)
            case _:
                self._send_after(delay, event, times)

    def hold(self, event: Event) -> None:
        """Keep an event back until it is released."""
        self.held[event.id] = event

    def _send_after(self, delay: float, event: Event, times: int) -> None:
        if delay <= 0:
            self._queue([event] * times)
        else:
            self._spawn(self._queue_later(delay, [event] * times))

    async def _queue_later(self, delay: float, events: list[Event]) -> None:
        await self.clock.sleep(delay)
        self._queue(events)

    async def _send_gathered(self, delay: float) -> None:
        await self.clock.sleep(delay)
        events, self._gathered = out_of_order(self._gathered), []
        self._queue(events)

    def _queue(self, events: list[Event]) -> None:
        for event in events:
            for hook in self.hooks.values():
                if hook.wants(event.kind):
                    self._join(hook, event, 1)

    def _join(self, hook: Hook, event: Event, attempt: int) -> None:
        self._lanes.setdefault(hook.id, deque()).append((event, attempt))
        if self._busy.get(hook.id, 0) < self.parallel:
            self._busy[hook.id] = self._busy.get(hook.id, 0) + 1
            self._spawn(self._drive(hook, self._lanes[hook.id], self._busy))

    async def _drive(self, hook: Hook, lane: deque[tuple[Event, int]], busy: dict[str, int]) -> None:
        """Deliver what is in the lane until it is empty."""
        try:
            while lane:
                if hook.status == "failing":
                    await self.clock.sleep(hook.health.pause(self.waits[0] if self.waits else 0))
                if lane:  # another may have taken the last one meanwhile
                    await self._deliver(hook, *lane.popleft())
        finally:
            busy[hook.id] -= 1

    async def _deliver(self, hook: Hook, event: Event, attempt: int) -> None:
        if hook.id not in self.hooks or not hook.listens:
            self._note(event, hook, attempt, None, "skipped")  # deleted, paused or given up while it waited in line
            return
        status, wait = await self.courier.post(hook.url, *hook.packed(event.raw(attempt)))
        good = status == 200
        outcome = "delivered" if good else "no answer" if status is None else "refused"
        self._note(event, hook, attempt, status, outcome)
        if hook.listens:
            hook.become(hook.health.after(hook.status, good, self.clock.exact()), self.clock.now())
        # Nylas does not say what it does without an answer; we take it for one worth a retry.
        if (status is None or status in RETRIED) and attempt < ATTEMPTS:
            own = self.waits[min(attempt, len(self.waits)) - 1] if self.waits else 0.0
            told = float(wait) if status == 429 and wait.isdecimal() else own
            self._spawn(self._retry(told, hook, event, attempt + 1))

    async def _retry(self, wait: float, hook: Hook, event: Event, attempt: int) -> None:
        """Send it again: to this destination, or to all of its type, as Nylas warns that it does."""
        if self.retry_to_all:
            if (event.id, attempt) in self._retried:
                return
            self._retried.add((event.id, attempt))
        await self.clock.sleep(wait)
        for one in list(self.hooks.values()) if self.retry_to_all else [hook]:
            if one.id in self.hooks and one.wants(event.kind):
                self._join(one, event, attempt)

    def _note(self, event: Event, hook: Hook | None, attempt: int, status: int | None, outcome: str) -> None:
        self.log.append(
            {
                "id": event.id,
                "type": event.kind,
                "grant_id": event.grant_id,
                "webhook_id": hook.id if hook else None,
                "attempt": attempt,
                "status": status,
                "outcome": outcome,
                "at": self.clock.exact(),
            }
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def out_of_order(events: list[Event]) -> list[Event]:
    """Return the events so that two or more are surely out of order, and each time in the same way."""
    return events[1::2][::-1] + events[0::2][::-1]
