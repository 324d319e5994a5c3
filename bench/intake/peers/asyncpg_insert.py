"""Bare Starlette and one INSERT of asyncpg's for each request: no ORM, no sessions."""

import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = os.environ["BENCH_SECRET"].encode()
TABLE = """
    CREATE TABLE IF NOT EXISTS webhook_event (
        id text PRIMARY KEY, type text NOT NULL, grant_id text, body bytea NOT NULL, received_at timestamptz NOT NULL
    );
    CREATE INDEX IF NOT EXISTS ix_webhook_event_grant_id ON webhook_event (grant_id);
"""
INSERT = """
    INSERT INTO webhook_event (id, type, grant_id, body, received_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
"""


async def notification(request: Request) -> Response:
    """Store a notification; the same one again is no news."""
    body = await request.body()
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, request.headers.get("x-nylas-signature", "")):
        return Response(status_code=401)
    told = json.loads(body)
    grant_id = told["data"]["object"].get("grant_id")
    await request.app.state.pool.execute(INSERT, told["id"], told["type"], grant_id, body, datetime.now(UTC))
    return Response()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the pool, and make the table."""
    async with asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"]) as pool:
        await pool.execute(TABLE)
        app.state.pool = pool
        yield


app = Starlette(routes=[Route("/webhooks/nylas", notification, methods=["POST"])], lifespan=lifespan)
