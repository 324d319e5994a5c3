"""A product that listens to the simulator's webhooks, and how its tests wait for what comes."""

import asyncio
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiohttp import web


class Product:
    """It keeps what it gets, and answers as it was told."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.always = 200
        self.retry_after = ""
        self.echo = True
        self.challenges = 0
        self._news = asyncio.Event()

    async def challenged(self, request: web.Request) -> web.Response:
        self.challenges += 1
        value = request.query["challenge"]
        return web.Response(text=value if self.echo else f'"{value}"')

    async def told(self, request: web.Request) -> web.Response:
        self.got.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        self._news.set()
        self._news = asyncio.Event()
        status = self.answers.pop(0) if self.answers else self.always
        return web.Response(status=status, headers={"Retry-After": self.retry_after} if self.retry_after else None)

    async def heard(self, number: int) -> None:
        """Wait until it has been told so often."""
        async with asyncio.timeout(4):
            while len(self.got) < number:
                await self._news.wait()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [
            json.loads(gzip.decompress(body) if "content-encoding" in headers else body) for headers, body in self.got
        ]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


@asynccontextmanager
async def listening() -> AsyncIterator[Product]:
    """A product on a port of its own."""
    product = Product()
    app = web.Application()
    app.router.add_get("/hook", product.challenged)
    app.router.add_post("/hook", product.told)
    # auto_decompress would undo the bytes that were signed
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    product.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield product
    await runner.cleanup()


def at(url: str) -> httpx.AsyncClient:
    """A client of the simulator's, with some API key."""
    return httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer key"})


async def delivered(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Wait until nothing is under way, and return the log of attempts."""
    body = (await http.get("/_sim/deliveries", params={"wait": 4})).json()
    assert body["pending"] == 0
    log: list[dict[str, Any]] = body["deliveries"]
    return log


def signature(body: bytes, secret: str) -> str:
    """What Nylas signs with."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
