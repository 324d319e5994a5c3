"""Nylas' own rate limits, on demand: so many calls in any sliding second, for each group of its API."""

from collections import Counter, deque

from simulator.answers import Answer, Json, bad_request, usual

GROUPS = {
    "/v3/applications": "applications",
    "/v3/connect/": "authentication",
    "/v3/connectors": "connectors",
    "/v3/integrations": "connectors",
    "/v3/providers/detect": "detect",
    "/v3/grants": "grants",
    "/v3/webhooks": "webhooks",
}
MINUTE = 60.0


def group_of(path: str) -> str:
    """Return the group of the API that a path belongs to; what Nylas does not limit is `other`."""
    return next((group for start, group in GROUPS.items() if path.startswith(start)), "other")


class Window:
    """The moments of the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._moments: deque[float] = deque()

    def at(self, now: float) -> int:
        """Return how many moments there are now, the oldest less than a window ago."""
        while self._moments and self._moments[0] <= now - self.seconds:
            self._moments.popleft()
        return len(self._moments)

    def add(self, now: float) -> int:
        """Add a moment; return how many there are with it."""
        self._moments.append(now)
        return self.at(now)


class Limits:
    """What is set by `/_sim/limits`; None sets no limit."""

    def __init__(self, per_second: int | None = None) -> None:
        self.per_second = per_second
        self.detect_per_minute: int | None = None
        self.retry_after_s: int | None = None
        self.provider_filter_lag_s = 0
        self.refused: Counter[str] = Counter()
        self._taken: dict[str, Window] = {}

    def set(self, sent: Json) -> None:
        """Set what is named, and leave the rest; or refuse."""
        for name in sent:
            if name not in self.view():
                raise bad_request(f"{name} is none of {', '.join(self.view())}")
            if not isinstance(sent[name], int | None) or isinstance(sent[name], bool) or (sent[name] or 0) < 0:
                raise bad_request(f"{name} must be a whole number, or null for none")
        for name, value in sent.items():
            setattr(self, name, 0 if value is None and name == "provider_filter_lag_s" else value)

    def view(self) -> Json:
        """Return what is set."""
        return {
            "per_second": self.per_second,
            "detect_per_minute": self.detect_per_minute,
            "retry_after_s": self.retry_after_s,
            "provider_filter_lag_s": self.provider_filter_lag_s,
        }

    def refusal(self, group: str, now: float) -> Answer | None:
        """Count a call, or return the 429 it gets; one that is refused takes no other's place.

        Nylas promises no Retry-After with its own limit, so there is one only on demand.
        """
        most = self.detect_per_minute if group == "detect" else self.per_second
        if most is None or group == "other":
            return None
        window = self._taken.setdefault(group, Window(MINUTE if group == "detect" else 1.0))
        if window.at(now) < most:
            window.add(now)
            return None
        self.refused[group] += 1
        answer = usual(429)
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return Answer(answer.body, answer.status, headers)
