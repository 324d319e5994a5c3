"""The way to Nylas, on which all goes wrong that can: before a request has its effect, after it, or much later."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from nylas_api import HttpClient
from storm.simulation.nylas import InProcess
from storm.simulation.process import current

TAKES = 0.02
LATER = 9.0
"""Seconds after which a late effect lands at the most, counted from when its caller has given up."""
DEADLINE = 20.0
PAGE = b"<html><body>We'll be back soon</body></html>"
NYLAS_LIMIT = b'{"error":{"type":"nylas_rate_limit_exceeded","message":"Rate limit exceeded"}}'
PROVIDER_LIMIT = b'{"error":{"type":"rate_limit_error","message":"Too many","provider_error":{"error":"quota"}}}'
INTERNAL = b'{"error":{"type":"api.internal_error","message":"Internal error"}}'
NOT_ALLOWED = b'{"error":{"type":"api.authentication_error","message":"Unauthorized"}}'
JSON, HTML = {"content-type": "application/json"}, {"content-type": "text/html"}

INSTEAD: dict[str, tuple[int, dict[str, str], bytes]] = {
    "429 of Nylas": (429, JSON, NYLAS_LIMIT),
    "429 with a wait": (429, JSON | {"retry-after": "3"}, NYLAS_LIMIT),
    "429 of the provider": (429, JSON, PROVIDER_LIMIT),
    "500": (500, JSON, INTERNAL),
    "a page": (200, HTML, PAGE),
    "401": (401, JSON, NOT_ALLOWED),
}
"""Answers that come in the place of an effect."""
KINDS = ("refused", "timeout before", "timeout after", "lands later", "500 after", "a page after", *INSTEAD)
PLACES: dict[str, Callable[[str, str], bool]] = {
    "anything": lambda _method, _path: True,
    "codes": lambda _method, path: path == "/v3/connect/token",
    "renewals": lambda _method, path: path == "/v3/connect/custom",
    "grants": lambda _method, path: path.startswith("/v3/grants"),
}


@dataclass(slots=True)
class Fault:
    """So many calls to a place go wrong in one way."""

    kind: str
    place: str
    left: int


class Line(HttpClient):
    """Leads to the simulator; each call passes a point before it leaves, and one when it has come back."""

    def __init__(self, nylas: InProcess, *, spoilt: Callable[[str], None]) -> None:
        """`spoilt` is told each call whose effect is there, and whose answer is not."""
        self._nylas, self._spoilt = nylas, spoilt
        self.begin_anew()

    def begin_anew(self) -> None:
        """Let all be well, and nothing be known."""
        self.faults: list[Fault] = []
        self.late: set[asyncio.Task[None]] = set()
        self.code_ends: dict[str, list[int | None]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        method, path, body = request.method, request.url.path, await request.aread()
        process, what = current.get(), f"{request.method} {request.url.path}"
        if process:
            await process.passes(f"before {what}")
        fault = self._fault(method, path)
        if fault == "refused":
            raise httpx.ConnectError("refused")
        code = _code(path, body)
        await asyncio.sleep(TAKES)
        status, headers, content = await self._answered(fault, request, body, code)
        if process:
            await process.passes(f"after {what}")
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))

    async def _answered(
        self, fault: str | None, request: httpx.Request, body: bytes, code: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        end: list[int | None] = [] if code is None else self.code_ends.setdefault(code, [])
        place = len(end)
        end.append(None)
        if fault in INSTEAD:
            end[place] = INSTEAD[fault][0]
            return INSTEAD[fault]
        if fault == "timeout before":
            await asyncio.Event().wait()
        if fault == "lands later":
            self._spoils(request)
            late = asyncio.create_task(self._lands_later(request, body))
            self.late.add(late)
            late.add_done_callback(self.late.discard)
            await asyncio.Event().wait()
        answer = await self._effect(request, body)
        end[place] = answer[0]
        if fault == "timeout after":
            self._spoils(request)
            await asyncio.Event().wait()
        if fault == "500 after":
            self._spoils(request)
            end[place] = 500
            return INSTEAD["500"]
        if fault == "a page after":
            self._spoils(request)
            return INSTEAD["a page"]
        return answer

    async def _effect(self, request: httpx.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        answer = await self._nylas.ask(request.method, request.url.path, request.url.query.decode(), headers, body)
        if request.url.path == "/v3/connect/custom" and answer.status < 300 and (process := current.get()):
            process.renewed += 1
        content = answer.body if isinstance(answer.body, bytes) else b""
        return answer.status, dict(answer.headers), content

    async def _lands_later(self, request: httpx.Request, body: bytes) -> None:
        """It has left the process that sent it, whatever becomes of that."""
        current.set(None)
        await asyncio.sleep(DEADLINE + LATER)
        await self._effect(request, body)

    def _spoils(self, request: httpx.Request) -> None:
        self._spoilt(request.url.path)

    def _fault(self, method: str, path: str) -> str | None:
        for fault in self.faults:
            if PLACES[fault.place](method, path):
                fault.left -= 1
                if not fault.left:
                    self.faults.remove(fault)
                return fault.kind
        return None


def _code(path: str, body: bytes) -> str | None:
    if path != "/v3/connect/token":
        return None
    return str(json.loads(body).get("code"))
