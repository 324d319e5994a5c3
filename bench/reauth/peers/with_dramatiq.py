"""dramatiq with its AsyncIO middleware: threads that wait, and one loop on which the actors run."""

from collections.abc import Sequence
from functools import cache

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, Middleware

from bench.reauth.peers import place
from bench.reauth.peers.sending import send_when_told
from bench.reauth.peers.together import Work


class Telling(Middleware):
    """Says when the worker is ready."""

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Say so."""
        place.say_ready()


broker = RedisBroker(url=place.REDIS)
broker.add_middleware(AsyncIO())
broker.add_middleware(Telling())
dramatiq.set_broker(broker)


@cache
def work() -> Work:
    """What actors share; made at the first message, where the loop runs."""
    return Work()


@dramatiq.actor
async def renew(grant_id: str) -> None:
    """Do it."""
    await work().renew(grant_id)


async def send(grant_ids: Sequence[str]) -> None:
    """Send them."""
    for grant_id in grant_ids:
        renew.send(grant_id)


if __name__ == "__main__":
    send_when_told(send)
