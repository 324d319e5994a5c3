"""A proxy before the simulator that writes down every call to Nylas' paths, as it went over the wire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

HOP_BY_HOP = {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call and its answer; `method_called` is what the caller says that it called to make it."""

    method_called: str
    verb: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: CIMultiDictProxy[str]
    body: bytes
    status: int
    answer_headers: CIMultiDictProxy[str]
    answer: bytes


@dataclass
class Recorder:
    """Passes calls on to `target`, and keeps those to `/v3`.

    Beside these it answers two paths of its own. `PUT /_calling/{method}` says which method of a client the calls to
    come are made by; until the next one. `/_hook/…` is a webhook's listener: it repeats the challenge, and takes
    what is sent.
    """

    target: str
    exchanges: list[Exchange] = field(default_factory=list)
    url: str = ""
    _calling: str = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Recorder"]:
        """Listen on a free port of this machine while the context is open."""
        app = web.Application()
        app.router.add_put("/_calling/{method}", self._name)
        app.router.add_route("*", "/_hook/{rest:.*}", self._listen)
        app.router.add_route("*", "/{rest:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield self
            finally:
                await runner.cleanup()

    async def _name(self, request: web.Request) -> web.Response:
        self._calling = request.match_info["method"]
        return web.Response()

    async def _listen(self, request: web.Request) -> web.Response:
        return web.Response(text=request.query.get("challenge", ""))

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        address = URL(self.target + request.raw_path, encoded=True)
        sent = CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP)
        async with self._session.request(
            request.method, address, data=body or None, headers=sent, allow_redirects=False
        ) as answered:
            answer, headers = await answered.read(), answered.headers
        if request.path.startswith("/v3/"):
            query = tuple(parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True))
            whole = (request.method, request.path, query, request.headers, body, answered.status, headers, answer)
            self.exchanges.append(Exchange(self._calling, *whole))
        back = CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)
        return web.Response(status=answered.status, body=answer, headers=back)
