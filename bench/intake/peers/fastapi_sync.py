"""FastAPI and SQLModel as FastAPI's tutorial teaches them: a session for each request, in FastAPI's threads."""

import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, create_engine

SECRET = os.environ["BENCH_SECRET"].encode()


class WebhookEvent(SQLModel, table=True):
    """A notification, once."""

    __tablename__ = "webhook_event"

    id: str = Field(primary_key=True)
    type: str
    grant_id: str | None = Field(default=None, index=True)
    body: bytes
    received_at: datetime


engine = create_engine(os.environ["BENCH_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1))


def get_session() -> Iterator[Session]:
    """Open a session for a request."""
    with Session(engine) as session:
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
    SQLModel.metadata.create_all(engine)
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks/nylas")
def notification(
    body: Annotated[bytes, Depends(signed_body)], session: Annotated[Session, Depends(get_session)]
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
        session.commit()
    except IntegrityError:
        session.rollback()
