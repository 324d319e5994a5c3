"""A campaign that a program asks for by Celery alone: from message to worker, and while the database is away."""

import asyncio
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject
from sqlalchemy import select

from models import Campaign, CampaignStatus
from models.kinds import REAUTH_BULK_REQUESTED
from simulator import Running
from tasks.context import Context
from tests.front import only_sqlite
from tests.stories import known, the_items
from tests.test_worker_serve import worker as a_worker
from worker import runtime, task
from worker.pool import LOOP
from worker.runtime import opens_with
from worker.task import ContextTask

__all__ = ["a_worker"]


@pytest.fixture
def product(valkey: str) -> Iterator["Celery[Any]"]:
    """Somebody else's Celery, which knows nothing of ours but the broker and its prefix."""
    app = Celery("product", broker=valkey, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "evergrant:1:"}
    yield app
    app.close()


async def finished(ctx: Context) -> Campaign:
    """Wait for the campaign to finish."""
    async with asyncio.timeout(30):
        while True:
            async with ctx.database.reading() as session:
                campaign = (await session.scalars(select(Campaign))).one_or_none()
            if campaign and campaign.status is CampaignStatus.FINISHED:
                return campaign
            await asyncio.sleep(0.05)


@only_sqlite
async def test_a_program_that_knows_only_the_broker_asks_for_a_campaign(
    ctx: Context, sim: Running, product: "Celery[Any]", a_worker: "subprocess.Popen[bytes]"
) -> None:
    ids = await known(ctx, sim, 3, status="invalid", credential_id="service-account")
    payload = {"filter": {"status": "expired"}, "idempotency_key": "monday"}
    for _ in range(2):
        product.send_task(REAUTH_BULK_REQUESTED, args=[payload], queue="interactive")

    campaign = await finished(ctx)

    assert {item.grant_id for item in await the_items(ctx, campaign.id)} == set(ids)
    assert str(campaign.actor).startswith("a task of ")


@pytest.mark.parametrize("message", [([{"filter": {}}], {}), ([], {"filter": {}})], ids=["argument", "keywords"])
def test_while_the_database_is_away_the_message_is_given_back(
    monkeypatch: pytest.MonkeyPatch, message: tuple[list[Any], dict[str, Any]]
) -> None:
    async def away() -> runtime.Runtime:
        raise ConnectionRefusedError("the database is away")

    monkeypatch.setattr(task, "GIVEN_BACK_AFTER", 0)
    app = Celery("tests", task_cls=ContextTask, set_as_current=False)
    asks = app.task(name=REAUTH_BULK_REQUESTED, shared=False)(away)
    opens_with(lambda: asyncio.create_task(away()))
    try:
        args, kwargs = message
        with pytest.raises(Reject) as given_back:
            asks(*args, **kwargs)
        assert given_back.value.requeue
    finally:
        runtime._opening = runtime._opened = None
        LOOP.stop()
        app.close()
