"""Health: whether this process lives, and whether the installation can do its work."""

import asyncio
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ingress.front import Front
from lifecycle.incidents import Scope
from models.migrations.standing import Standing, standing
from tasks.incidents import open_incidents
from worker.broker import Broker

PATIENCE = 2.0
AS_IT_STANDS = {
    Standing.CURRENT: "ok",
    Standing.BEHIND: "not migrated: run evergrant migrate",
    Standing.AHEAD: "ok, and migrated by a newer release: start this process again with that one",
}


async def alive(request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """200 if events can be stored and nothing would lose them; else 503, and what is wrong.

    A Redis that is away is told of, and doesn't make us unready: events are stored all the same, and rung for when it
    is back. One that evicts keys does, since it would drop messages without a word. A Nylas that refuses our API key is
    told of as well: what comes meanwhile is stored, and waits.
    """
    front: Front = request.app.state.front
    broker: Broker = request.app.state.broker
    database, redis = await asyncio.gather(_database(front), broker.state())
    checks: dict[str, Any] = {"database": database, "redis": redis}
    if sound := database.startswith("ok"):
        checks["nylas"] = await _nylas(front)
    well = sound and not redis.startswith("evicts")
    return JSONResponse({"status": "ready" if well else "not ready", **checks}, status_code=200 if well else 503)


async def _database(front: Front) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            stands = await standing(front.context.database)
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return f"does not answer ({type(error).__name__})"
    return AS_IT_STANDS[stands]


async def _nylas(front: Front) -> str:
    try:
        async with asyncio.timeout(PATIENCE), front.context.database.reading() as session:
            refused = await open_incidents(session, front.context, Scope.KEY)
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        return f"not known: the database does not answer ({type(error).__name__})"
    return f"refuses our API key since {refused[0].opened_at.isoformat()}: run evergrant doctor" if refused else "ok"
