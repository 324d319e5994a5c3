"""saq, with its context for what jobs share."""

from collections.abc import Sequence
from typing import Any

from saq import Queue

from bench.reauth.peers import place
from bench.reauth.peers.sending import send_when_told
from bench.reauth.peers.together import Work

queue = Queue.from_url(place.REDIS)


async def startup(ctx: dict[str, Any]) -> None:
    """Open what jobs share."""
    ctx["work"] = Work()
    place.say_ready()


async def shutdown(ctx: dict[str, Any]) -> None:
    """Close it."""
    await ctx["work"].close()


async def renew(ctx: dict[str, Any], *, grant_id: str) -> None:
    """Do it."""
    await ctx["work"].renew(grant_id)


settings = {
    "queue": queue,
    "functions": [renew],
    "concurrency": place.CONCURRENCY,
    "startup": startup,
    "shutdown": shutdown,
}


async def send(grant_ids: Sequence[str]) -> None:
    """Send them."""
    for grant_id in grant_ids:
        await queue.enqueue("renew", grant_id=grant_id)


if __name__ == "__main__":
    send_when_told(send)
