"""Whether a call that failed is made again, and after how long: within its deadline, and never a storm of retries."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from nylas_api.errors import NylasError, RateLimited, Transient
from nylas_api.request import Request

FIRST_WAIT = timedelta(seconds=0.2)
LONGEST_WAIT = timedelta(seconds=5)
PUSHED_BACK_FOR = timedelta(seconds=1)
"""The wait after a 429 of Nylas' own that names none; Nylas counts by the second."""
RETRIES_PER_CALL = 0.1
RETRIES_IN_HAND = 10.0


class RetryBudget:
    """At most one call in ten is a retry, with ten in hand: where everything fails, retries only add to the load."""

    def __init__(self) -> None:
        """Start with all of them in hand."""
        self._in_hand = RETRIES_IN_HAND

    def called(self) -> None:
        """Note a call that is no retry."""
        self._in_hand = min(RETRIES_IN_HAND, self._in_hand + RETRIES_PER_CALL)

    def take(self) -> bool:
        """Take a retry, if one is left."""
        if self._in_hand < 1:
            return False
        self._in_hand -= 1
        return True


@dataclass
class Course:
    """One call on its way through its attempts.

    `left` is what is left of its deadline, in seconds: the attempts and the waits between them use
    it up, waiting for the budget doesn't. `chance` draws 0 ≤ x < 1 for the jitter.
    """

    request: Request[object]
    left: float
    most_attempts: int
    retries: RetryBudget
    chance: Callable[[], float]
    attempts: int = 0

    def wait_after(self, error: BaseException) -> bool | float:
        """Say after how many seconds to try again, or False.

        Only what is safe is repeated: a call whose effect is the same when done twice, or one that
        surely had none; and never one that spends an OAuth code, or that may be under way yet. A
        provider's own limit is not waited for here: it is one mailbox's trouble, and whoever owns the
        work can do other work meanwhile.
        """
        if not isinstance(error, Transient) or not self._is_safe_after(error) or self.attempts >= self.most_attempts:
            return False
        if isinstance(error, RateLimited) and error.provider_limit:
            return False
        wait = self._wait(error)
        if wait >= self.left or not self.retries.take():
            return False
        self.left -= wait
        return wait

    def _is_safe_after(self, error: NylasError) -> bool:
        if self.request.spends_a_code or error.under_way:
            return False
        return self.request.repeatable or not error.outcome_unknown

    def _wait(self, error: Transient) -> float:
        """Wait as long as told; else "full jitter": anything up to a bound that doubles."""
        bound = min(LONGEST_WAIT, (1 << self.attempts - 1) * FIRST_WAIT).total_seconds()
        told = error.retry_after or (PUSHED_BACK_FOR if isinstance(error, RateLimited) else timedelta())
        return told.total_seconds() + bound * self.chance()
