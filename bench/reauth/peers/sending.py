"""The other side of a peer's queue: a process that sends a task for each grant when it is told to."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import uvloop

from bench.reauth.peers import place


def send_when_told(send: Callable[[Sequence[str]], Awaitable[None]]) -> None:
    """Say that all is imported, wait for a line, send a task for each row, and stay until stdin ends."""
    uvloop.run(_when_told(send))


async def _when_told(send: Callable[[Sequence[str]], Awaitable[None]]) -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    connection = await asyncpg.connect(f"postgresql://{place.DATABASE}")
    rows = await connection.fetch("SELECT id FROM peer_grant ORDER BY id")
    await connection.close()
    await send([row["id"] for row in rows])
    print("sent", flush=True)
    await asyncio.to_thread(sys.stdin.read)
