"""The time at Nylas: the machine's own, and as far ahead of it as we were told to go."""

import time


class Clock:
    """Only `forward` makes it differ from the machine's; it never stands still and never goes back."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        """Return unix seconds, the unit of every time in the API."""
        return int(self.exact())

    def exact(self) -> float:
        """Return unix seconds with their fraction."""
        return time.time() + self.ahead

    def forward(self, seconds: int) -> None:
        """Let so much time have passed."""
        self.ahead += seconds
