"""A story of a crowd: thousands of grants that fail again and again do not keep the others waiting."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, insert, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, Grant
from models.inbox import told
from models.kinds import GRANT_UPDATED
from nylas_api import NylasClient
from tasks.context import Context
from tests.conftest import API_KEY, CLIENT_ID, Rings, SetClock
from tests.life import TASKS
from worker.sweeper import sweep

DEAD, DUE = 5_000, 50


def nylas_that_fails_for_the_dead(calls: Counter[str]) -> httpx.MockTransport:
    """Answers 503 for each of the dead, whenever it is asked; its list shows only the others."""

    def record(grant_id: str) -> dict[str, object]:
        return {"id": grant_id, "provider": "google", "grant_status": "valid", "scope": [], "created_at": 1}

    def answer(request: httpx.Request) -> httpx.Response:
        grant_id = request.url.path.rpartition("/")[2]
        calls[grant_id.partition("-")[0]] += 1
        if grant_id.startswith("dead-"):
            return said(503, {"error": {"type": "api.internal_error", "message": "later"}})
        if grant_id == "grants":
            alive = request.url.params.get("grant_status") != "invalid" and request.url.params["offset"] == "0"
            return said(200, {"data": [record(f"due-{n}") for n in range(DUE * alive)]})
        return said(200, {"data": record(grant_id)})

    def said(status: int, body: dict[str, object]) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(json.dumps({"request_id": "r"} | body).encode()))

    return httpx.MockTransport(answer)


async def a_hint_for_each(ctx: Context, name: str, number: int, *, at: datetime) -> None:
    """So many grants that we know of, and for each of them a hint that came at that time."""
    known = {"application_id": ctx.application_id, "provider": "google", "status": GrantStatus.VALID, "as_of": at}
    ids = [f"{name}-{n}" for n in range(number)]
    grants = [Grant(id=grant_id, first_seen_at=at, version=1, **known).model_dump() for grant_id in ids]
    events = [
        told(
            GRANT_UPDATED,
            f"test:{grant_id}",
            application_id=ctx.application_id,
            source="nylas",
            now=at,
            grant_id=grant_id,
        ).model_dump()
        for grant_id in ids
    ]
    async with ctx.database.writing() as session:
        await session.execute(insert(Grant), grants)
        await session.execute(insert(Event), events)


async def open_of(ctx: Context, name: str) -> int:
    of_them = col(Event.grant_id).startswith(f"{name}-")
    async with ctx.database.reading() as session:
        return await session.scalar(select(func.count()).where(of_them, col(Event.settled_at).is_(None))) or 0


@pytest.mark.long
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_five_thousand_grants_that_fail_all_the_time_do_not_starve_fifty_that_are_due(
    ctx: Context, clock: SetClock, rings: Rings
) -> None:
    await a_hint_for_each(ctx, "dead", DEAD, at=clock() - timedelta(hours=1))
    await a_hint_for_each(ctx, "due", DUE, at=clock())
    calls: Counter[str] = Counter()
    async with nylas_that_fails_for_the_dead(calls) as http:
        client = NylasClient(
            api_uri="http://nylas.example", api_key=API_KEY, client_id=CLIENT_ID, http=http, now=clock, attempts=1
        )
        ctx = replace(ctx, nylas=client)
        seconds = 0
        while await open_of(ctx, "due"):
            assert seconds < 10, "they wait behind the dead"
            await sweep(ctx)
            heard, rings.heard = rings.heard, []
            await asyncio.gather(*(TASKS[kind](ctx, ids) for kind, ids in heard))
            clock.forward(seconds=1)
            seconds += 1

    assert await open_of(ctx, "dead") == DEAD
    assert calls["dead"] >= DEAD, "each of the dead was asked about, and failed"
