"""The work as a coroutine, with one HTTP client and one engine for all tasks of a process, on uvloop.

The client has the same transport as Evergrant's: with httpx' own, no peer gets beyond some 200 calls a second.
"""

import asyncio

import httpx
import uvloop
from httpx_aiohttp import HttpxAiohttpClient
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.reauth.peers import place
from bench.reauth.peers.rows import RENEWED, PeerGrant

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


class Work:
    """What all tasks of a process share; open it where its loop runs."""

    def __init__(self) -> None:
        self.engine: AsyncEngine = create_async_engine(
            f"postgresql+asyncpg://{place.DATABASE}", pool_size=place.CONNECTIONS, max_overflow=0, pool_timeout=120
        )
        self.sessions = async_sessionmaker(self.engine, class_=AsyncSession, expire_on_commit=False)
        self.http = HttpxAiohttpClient(
            base_url=place.NYLAS,
            headers={"Authorization": f"Bearer {place.API_KEY}"},
            limits=httpx.Limits(max_connections=place.CONCURRENCY, max_keepalive_connections=place.CONCURRENCY),
            timeout=30,
        )

    async def renew(self, grant_id: str) -> None:
        """Read the row, ask Nylas with no transaction open, write the row."""
        async with self.sessions() as session:
            grant = await session.get_one(PeerGrant, grant_id)
        answer = await self.http.post(
            "/v3/connect/custom", json={"provider": "google", "settings": place.settings(grant.email)}
        )
        answer.raise_for_status()
        assert answer.json()["data"]["id"] == grant_id
        async with self.sessions() as session:
            await session.exec(update(PeerGrant).where(col(PeerGrant.id) == grant_id).values(status=RENEWED))
            await session.commit()

    async def close(self) -> None:
        """Let go of everything."""
        await self.http.aclose()
        await self.engine.dispose()
