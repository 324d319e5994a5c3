"""Celery with `asyncio.run` in each task, as most answers to "Celery and async" have it.

Each task has a loop of its own, so each has a client of its own, and a connection of its own to the database.
"""

import asyncio
from collections.abc import Sequence

import httpx
import uvloop
from celery import Celery
from celery.signals import worker_ready
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.reauth.peers import place
from bench.reauth.peers.rows import RENEWED, PeerGrant
from bench.reauth.peers.sending import send_when_told

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

app = Celery("peer", broker=place.REDIS)
app.conf.task_ignore_result = True
engine = create_async_engine(f"postgresql+asyncpg://{place.DATABASE}", poolclass=NullPool)


@worker_ready.connect
def tell(**_: object) -> None:
    """Say so."""
    place.say_ready()


@app.task(name="renew")
def renew(grant_id: str) -> None:
    """Leave it to a coroutine."""
    asyncio.run(renew_it(grant_id))


async def renew_it(grant_id: str) -> None:
    """Read the row, ask Nylas, write the row."""
    headers = {"Authorization": f"Bearer {place.API_KEY}"}
    async with (
        AsyncSession(engine, expire_on_commit=False) as session,
        httpx.AsyncClient(base_url=place.NYLAS, headers=headers, timeout=30) as http,
    ):
        grant = await session.get_one(PeerGrant, grant_id)
        answer = await http.post(
            "/v3/connect/custom", json={"provider": "google", "settings": place.settings(grant.email)}
        )
        answer.raise_for_status()
        assert answer.json()["data"]["id"] == grant_id
        grant.status = RENEWED
        session.add(grant)
        await session.commit()


async def send(grant_ids: Sequence[str]) -> None:
    """Send them."""
    for grant_id in grant_ids:
        renew.delay(grant_id)


if __name__ == "__main__":
    app.connection_for_write().ensure_connection().release()  # what it imports for that is not the work
    send_when_told(send)
