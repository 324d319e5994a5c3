"""Health: whether this process lives, and whether the installation can do its work."""

import asyncio
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ingress.front import Front
from models.migrations import is_current
from worker.broker import Broker

PATIENCE = 2.0


async def alive(request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """200 if events can be stored and nothing would lose them; else 503, and what is wrong.

    A Redis that is away is told of, and doesn't make us unready: events are stored all the same, and rung for when it
    is back. One that evicts keys does, since it would drop messages without a word.
    """
    front: Front = request.app.state.front
    broker: Broker = request.app.state.broker
    database, redis = await asyncio.gather(_database(front), broker.state())
    checks: dict[str, Any] = {"database": database, "redis": redis}
    well = database == "ok" and not redis.startswith("evicts")
    return JSONResponse({"status": "ready" if well else "not ready", **checks}, status_code=200 if well else 503)


async def _database(front: Front) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            current = await is_current(front.context.database)
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return f"does not answer ({type(error).__name__})"
    return "ok" if current else "not migrated: run evergrant migrate"
