"""arq, with its context for what jobs share."""

from collections.abc import Sequence
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings

from bench.reauth.peers import place
from bench.reauth.peers.sending import send_when_told
from bench.reauth.peers.together import Work


async def startup(ctx: dict[str, Any]) -> None:
    """Open what jobs share."""
    ctx["work"] = Work()
    place.say_ready()


async def shutdown(ctx: dict[str, Any]) -> None:
    """Close it."""
    await ctx["work"].close()


async def renew(ctx: dict[str, Any], grant_id: str) -> None:
    """Do it."""
    await ctx["work"].renew(grant_id)


class WorkerSettings:
    """What the command `arq` reads."""

    functions: ClassVar[list[Any]] = [renew]
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = RedisSettings.from_dsn(place.REDIS)
    max_jobs = place.CONCURRENCY


async def send(grant_ids: Sequence[str]) -> None:
    """Send them."""
    redis = await create_pool(WorkerSettings.redis_settings)
    for grant_id in grant_ids:
        await redis.enqueue_job("renew", grant_id)
    await redis.aclose()


if __name__ == "__main__":
    send_when_told(send)
