"""The simulated Nylas without a socket: its own handlers behind its own gate, asked in this process."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from simulator.api.routes import OPEN, WITH_KEY
from simulator.clock import Clock
from simulator.courier import Courier
from simulator.deliveries import Deliveries
from simulator.events import Event
from simulator.gate import Route, gated
from simulator.state import Options, State

STEP = re.compile(r"\{(\w+)\}")


class KeptDeliveries(Deliveries):
    """Sends nothing by itself: what Nylas tells is kept for who decides when it comes, and whether."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        super().__init__(Courier(cast(aiohttp.ClientSession, None)), ())

    def reset(self, clock: Clock) -> None:
        """Forget what was told."""
        super().reset(clock)
        self.told.clear()

    def send(self, event: Event, *, times: int = 1, delay: float = 0) -> None:
        """Keep it."""
        self.told.append(event)


class _Request:
    """As much of a request of aiohttp as the simulator's handlers read."""

    transport, remote = None, "127.0.0.1"

    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self._body = method, path, headers, body
        self.query = dict(reversed(parse_qsl(query, keep_blank_values=True)))
        self.content_type = headers.get("content-type", "application/octet-stream")
        self.can_read_body = bool(body)
        self.match_info: dict[str, str] = {}

    async def read(self) -> bytes:
        return self._body


class Headers(dict[str, str]):
    """Headers by names in any case of letters."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in pairs)

    def get(self, name: str, default: Any = None) -> Any:
        """Read one."""
        return super().get(name.lower(), default)


class InProcess:
    """One Nylas, and the way to it."""

    def __init__(self, *, api_key: str, client_id: str) -> None:
        self.deliveries = KeptDeliveries()
        self.state = State(Options(api_key=api_key, client_id=client_id, seed=0), self.deliveries)
        self._routes: list[tuple[str, re.Pattern[str], Route]] = []
        for routes, needs_key in ((OPEN, False), (WITH_KEY, True)):
            for method, path, handler in routes:
                pattern = re.compile(STEP.sub(_step, path))
                self._routes.append((method, pattern, gated(self.state, path, handler, needs_key=needs_key)))
        self._found: dict[tuple[str, str], tuple[Route, dict[str, str]]] = {}

    async def ask(
        self, method: str, path: str, query: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> web.Response:
        """Ask it something."""
        request = _Request(method, path, query, Headers(headers), body)
        route, request.match_info = self._route(method, path)
        return cast(web.Response, await route(cast(web.Request, request)))

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        if (method, path) not in self._found:
            for of_method, pattern, route in self._routes:
                if of_method == method and (match := pattern.fullmatch(path)):
                    self._found[method, path] = route, match.groupdict()
                    break
            else:
                raise LookupError(f"nothing is simulated at {method} {path}")
        return self._found[method, path]


def _step(match: re.Match[str]) -> str:
    name = match.group(1)
    return f"(?P<{'ref' if name == 'id' else name}>[^/]+)"
