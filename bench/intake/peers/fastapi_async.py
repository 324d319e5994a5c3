"""FastAPI and SQLModel with an async session for each request, as SQLAlchemy's asyncio documentation teaches it."""

import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

SECRET = os.environ["BENCH_SECRET"].encode()


class WebhookEvent(SQLModel, table=True):
    """A notification, once."""

    __tablename__ = "webhook_event"

    id: str = Field(primary_key=True)
    type: str
    grant_id: str | None = Field(default=None, index=True)
    body: bytes
    received_at: datetime


engine = create_async_engine(os.environ["BENCH_DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:", 1))
sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Open a session for a request."""
    async with sessions() as session:
        yield session


async def signed_body(request: Request) -> bytes:
    """Return the body, if Nylas has signed it."""
    body = await request.body()
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, request.headers.get("x-nylas-signature", "")):
        raise HTTPException(401)
    return body


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the table."""
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks/nylas")
async def notification(
    body: Annotated[bytes, Depends(signed_body)], session: Annotated[AsyncSession, Depends(get_session)]
) -> None:
    """Store a notification; the same one again is no news."""
    told = json.loads(body)
    event = WebhookEvent(
        id=told["id"],
        type=told["type"],
        grant_id=told["data"]["object"].get("grant_id"),
        body=body,
        received_at=datetime.now(UTC),
    )
    session.add(event)
    try:
        await session.commit()
    except IntegrityError:
        await session.rollback()
