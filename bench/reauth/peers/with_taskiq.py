"""taskiq on Redis streams (the broker that acknowledges), with its state for what tasks share."""

from collections.abc import Sequence
from typing import Annotated

from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

from bench.reauth.peers import place
from bench.reauth.peers.sending import send_when_told
from bench.reauth.peers.together import Work

broker = RedisStreamBroker(url=place.REDIS)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def startup(state: TaskiqState) -> None:
    """Open what tasks share."""
    state.work = Work()
    place.say_ready()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def shutdown(state: TaskiqState) -> None:
    """Close it."""
    await state.work.close()


@broker.task(task_name="renew")
async def renew(grant_id: str, context: Annotated[Context, TaskiqDepends()]) -> None:
    """Do it."""
    await context.state.work.renew(grant_id)


async def send(grant_ids: Sequence[str]) -> None:
    """Send them."""
    await broker.startup()
    for grant_id in grant_ids:
        await renew.kiq(grant_id)
    await broker.shutdown()


if __name__ == "__main__":
    send_when_told(send)
