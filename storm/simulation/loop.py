"""An event loop whose time is its own: where all wait, it is at once as late as the first of them waits for."""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

Ready = list[tuple[selectors.SelectorKey, int]]


class Stuck(BaseException):
    """Everybody waits, and nobody for a moment in time: nothing would ever happen again."""


class _Selector(selectors.BaseSelector):
    """Waits for no socket, as there is none; to wait for a moment is to be there."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> Ready:
        """Let so much time have passed."""
        if timeout is None:
            raise Stuck("everybody waits, and nobody for a moment in time")
        if timeout > 0:
            self.now += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Keep the loop's own pair of sockets, which nobody writes to here."""
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget it."""
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """All that was kept."""
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps. Without a real clock and real sockets the same work takes the same course."""

    def __init__(self) -> None:
        """Begin at the moment 0."""
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Tell the time."""
        return self._virtual.now

    def begin_anew(self, moment: float) -> None:
        """Be at this moment again. All tasks must have ended."""
        for timer in list(self._timers()):
            timer.cancel()
        self._timers().clear()
        self._virtual.now = moment

    def _timers(self) -> list[asyncio.TimerHandle]:
        timers: list[asyncio.TimerHandle] = vars(self)["_scheduled"]
        return timers
