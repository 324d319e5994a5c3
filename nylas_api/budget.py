"""The leave that a call needs before it may go, so that all workers together stay under Nylas' limits."""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import Protocol

wanted: ContextVar[Callable[[], bool] | None] = ContextVar("wanted", default=None)
"""Says whether a call is still wanted when its turn has come; if not, it ends as `Withheld` and nothing is sent."""


class Budget(Protocol):
    """Nylas allows so many calls to each API group of an application ("API and provider rate limits").

    50 a second to each of `applications`, `authentication`, `connectors`, `grants` and `webhooks`; and 20 a minute to
    POST /v3/providers/detect, which is a group of its own here: `detect`.
    """

    async def take(self, group: str) -> None:
        """Wait until a call of this group may go. It should go at once: what waits on is counted too early."""

    async def pushed_back(self, group: str, wait: timedelta) -> None:
        """Hear that Nylas itself refused a call of this group with 429 and wants silence for `wait`.

        Not told of a provider's limit: that is one mailbox's trouble and must not slow the others.
        """


class NoBudget:
    """The budget of a caller who keeps the limits by other means: every call may go at once."""

    async def take(self, group: str) -> None:
        """Let the call go."""

    async def pushed_back(self, group: str, wait: timedelta) -> None:
        """Take no notice."""
