"""A bare loop: the same calls without a queue and without rows, so the limit of a client in Python."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import httpx
import uvloop
from httpx_aiohttp import HttpxAiohttpClient

from bench.reauth.peers import place

HEADERS = {"Authorization": f"Bearer {place.API_KEY}"}
PATH = "/v3/connect/custom"

Ask = Callable[[dict[str, object]], Awaitable[None]]


async def by_httpx(stack: AsyncExitStack) -> Ask:
    """Ask by httpx, over the transport that the product uses."""
    limits = httpx.Limits(max_connections=place.CONCURRENCY, max_keepalive_connections=place.CONCURRENCY)
    client = HttpxAiohttpClient(base_url=place.NYLAS, headers=HEADERS, limits=limits, timeout=30)
    http = await stack.enter_async_context(client)

    async def ask(body: dict[str, object]) -> None:
        answer = await http.post(PATH, json=body)
        answer.raise_for_status()
        answer.json()

    return ask


async def by_aiohttp(stack: AsyncExitStack) -> Ask:
    """Ask by aiohttp."""
    connector = aiohttp.TCPConnector(limit=place.CONCURRENCY)
    session = aiohttp.ClientSession(place.NYLAS, connector=connector, headers=HEADERS)
    http = await stack.enter_async_context(session)

    async def ask(body: dict[str, object]) -> None:
        async with http.post(PATH, json=body) as answer:
            answer.raise_for_status()
            await answer.json()

    return ask


async def run(client: str, grants: int) -> None:
    """Say that all is open, wait for a line, ask for each grant, and stay until stdin ends."""
    async with AsyncExitStack() as stack:
        ask = await (by_httpx if client == "httpx" else by_aiohttp)(stack)
        emails = iter([f"user-{number}@example.com" for number in range(grants)])
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

        async def go_on() -> None:
            for email in emails:
                await ask({"provider": "google", "settings": place.settings(email)})

        async with asyncio.TaskGroup() as together:
            for _ in range(place.CONCURRENCY):
                together.create_task(go_on())
        print("sent", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2])))
