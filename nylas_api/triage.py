"""What a 401 means: that our key is worth nothing, or that one grant's access has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from nylas_api.errors import GrantUnauthorized, KeyRejected, NylasError, Unauthorized, Unavailable

FIRST_HOLD = timedelta(seconds=5)
LONGEST_HOLD = timedelta(minutes=5)


class KeyTriage:
    """Asks Nylas, by one canary call that concerns no grant, whether it still takes our key.

    While it does not, nothing else is asked: only the canary, again after 5 s at first, then an eighth as long as the
    key has been refused for, 5 min at most. All callers that are refused at the same time share one canary.
    """

    def __init__(
        self,
        canary: Callable[[], Awaitable[object]],
        *,
        now: Callable[[], datetime],
        heard: Callable[[KeyRejected | None], None],
    ) -> None:
        """`heard` is told once when the key is refused, and with None once when it is taken again."""
        self._canary = canary
        self._now = now
        self._heard = heard
        self._one_at_a_time = asyncio.Lock()
        self._asked = 0
        self._doubt: Unavailable | None = None
        self._refused: KeyRejected | None = None
        self._since: datetime | None = None
        self._ask_again_at: datetime | None = None

    async def pass_by(self) -> None:
        """Let a call go, unless the key was refused: then ask the canary if it's time, and raise KeyRejected."""
        if self._refused and self._ask_again_at and self._now() >= self._ask_again_at:
            await self._ask_after(self._asked)
        if self._refused:
            raise _again(self._refused)

    async def judge(self, refusal: Unauthorized, *, about_a_grant: bool) -> NylasError:
        """Return the error that a 401 stands for, after one canary: Unavailable if even that could not be found out."""
        await self._ask_after(self._asked)
        if self._refused:
            return _again(self._refused)
        if self._doubt:
            return self._doubt
        if not about_a_grant:
            return refusal
        return GrantUnauthorized(
            str(refusal),
            status=refusal.status,
            type=refusal.type,
            request_id=refusal.request_id,
            provider_error=refusal.provider_error,
        )

    def refused(self, refusal: Unauthorized) -> KeyRejected:
        """Hear that a canary was refused; return what that means."""
        first, now = self._refused is None, self._now()
        self._since = now if first or self._since is None else self._since
        self._ask_again_at = now + min(max((now - self._since) / 8, FIRST_HOLD), LONGEST_HOLD)
        self._refused = KeyRejected(
            f"{refusal}; Nylas does not take our API key (is it right, and of this region and application?)",
            status=refusal.status,
            type=refusal.type,
            request_id=refusal.request_id,
        )
        if first:
            self._heard(self._refused)
        return self._refused

    async def _ask_after(self, asked: int) -> None:
        """Ask the canary, unless one that set out after `asked` others has come back already."""
        async with self._one_at_a_time:
            if self._asked > asked:
                return
            self._asked += 1
            self._doubt = None
            try:
                await self._canary()
            except Unauthorized as refusal:
                self.refused(refusal)
            except NylasError as error:
                self._doubt = Unavailable(
                    f"Nylas answered 401, and whether it takes our key could not be asked: {error}"
                )
                self._ask_again_at = self._now() + FIRST_HOLD
            else:
                if self._refused:
                    self._refused = None
                    self._heard(None)


def _again(refused: KeyRejected) -> KeyRejected:
    """Make a fresh error to raise: one that was raised already has a traceback that grows."""
    return KeyRejected(str(refused), status=refused.status, type=refused.type, request_id=refused.request_id)
