"""The API is loaded by its first call, or by itself when no webhooks come."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from ingress.front import Front
from ingress.late_api import LateApi
from ingress.notifications import read_notification
from ingress.web import make_web
from models.database import Database
from tests.front import installed, only_sqlite, without_database
from worker.settings import read

__all__ = ["installed", "without_database"]
pytestmark = only_sqlite
NEVER = 3600
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def front(installed: None, database: Database, valkey: str) -> AsyncIterator[Front]:
    """The parts of a web front that is open, on a database that has its tables."""
    app = make_web(read(), redis_url=valkey)
    async with app.router.lifespan_context(app):
        yield app.state.front


async def test_the_first_call_loads_it_and_is_answered(front: Front) -> None:
    api = LateApi(after=NEVER)
    loaded = api.load(front)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://web") as http:
        answer = await http.get("/grants")
    assert loaded.done()
    assert answer.status_code == 401


async def test_without_a_call_it_is_loaded_when_no_webhook_came_for_a_while(front: Front) -> None:
    loaded = LateApi(after=0.01).load(front)
    await asyncio.wait_for(loaded, 60)
    assert callable(loaded.result())


async def test_while_webhooks_come_it_is_not_loaded(front: Front) -> None:
    loading = LateApi(after=0.5).load(front)
    for number in range(12):
        await front.intake.store(read_notification(b"%d" % number, application_id=front.application_id, now=NOON))
        await asyncio.sleep(0.1)
    assert not loading.done()
    await asyncio.wait_for(loading, 60)


async def test_where_webhooks_never_cease_it_is_loaded_at_last(front: Front) -> None:
    loading, number = LateApi(after=NEVER, at_the_latest=0.2).load(front), 0
    while not loading.done():
        await front.intake.store(read_notification(b"%d" % number, application_id=front.application_id, now=NOON))
        await asyncio.sleep(0.01)
        number += 1
    assert callable(loading.result())


async def test_a_front_that_ends_before_has_not_loaded_it(front: Front) -> None:
    loading = LateApi(after=NEVER).load(front)
    await asyncio.sleep(0.05)
    assert not loading.done()
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
