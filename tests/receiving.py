"""A product that is told by notices: it verifies each as Standard Webhooks says, and answers as it was told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy import select
from sqlmodel import col
from standardwebhooks import Webhook

from models import Delivery, Endpoint, Notice, NoticeKind
from models.columns import new_id
from models.kinds import DELIVERY_DUE, GRANT_EXPIRED, GRANT_RECHECK, GRANT_UPDATED, NOTICE_DUE
from tasks.context import Context
from tasks.grant_hints import confirm_expiry, look_at_updated, look_twice
from tasks.notices.delivering import deliver
from tasks.notices.fanning_out import fan_out
from tasks.notices.outbound import Outbound
from tasks.notices.secrets import new_secret
from tests.conftest import Rings
from tests.stories import stored
from worker.sweeper import sweep

Task = Callable[[Context, Sequence[UUID]], Coroutine[Any, Any, None]]

TASKS: dict[str, Task] = {
    GRANT_EXPIRED: confirm_expiry.run,
    GRANT_UPDATED: look_at_updated.run,
    GRANT_RECHECK: look_twice.run,
    NOTICE_DUE: fan_out.run,
    DELIVERY_DUE: deliver.run,
}


@dataclass
class Product:
    """It keeps what it took. `answers` are given first, then `always`; `hangs` while the event is not set."""

    url: str = ""
    secret: str = field(default_factory=new_secret)
    answers: list[int] = field(default_factory=list)
    always: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    by_kind: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    """The webhook-id of each request, taken or not."""
    took: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def told(self, request: web.Request) -> web.Response:
        """Take a notice, if it is signed as it should be."""
        body = await request.text()
        got = {name.lower(): value for name, value in request.headers.items()}
        at = datetime.fromtimestamp(int(got["webhook-timestamp"]), UTC)
        signed = Webhook(self.secret).sign(got["webhook-id"], at, body)  # our clock may be set, so not by its age
        if signed not in got["webhook-signature"].split(" ") or got["content-type"] != "application/json":
            return web.Response(status=401)
        self.calls.append(got["webhook-id"])
        if self.hangs:
            await asyncio.sleep(30)
        event = json.loads(body)
        status = self.answers.pop(0) if self.answers else self.by_kind.get(event["type"], self.always)
        if 200 <= status < 300:
            self.took.append(event | {"id": got["webhook-id"]})
            async with self.news:
                self.news.notify_all()
        return web.Response(status=status, headers=self.headers)

    async def has_taken(self, number: int) -> None:
        """Wait until it has taken so many."""
        async with asyncio.timeout(20), self.news:
            await self.news.wait_for(lambda: len(self.took) >= number)

    @property
    def kinds(self) -> list[str]:
        """What it took, by kind."""
        return [event["type"] for event in self.took]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of what it took of a kind."""
        return [event["data"] for event in self.took if event["type"] == kind]


@asynccontextmanager
async def a_product() -> AsyncIterator[Product]:
    """A product on a port of its own."""
    product = Product()
    app = web.Application()
    app.router.add_post("/evergrant", product.told)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    product.url = f"http://127.0.0.1:{runner.addresses[0][1]}/evergrant"
    yield product
    await runner.cleanup()


async def told_at(ctx: Context, product: Product, *kinds: str, url: str = "") -> Endpoint:
    """Set a product up as an endpoint."""
    endpoint = Endpoint(
        id=new_id(),
        application_id=ctx.application_id,
        url=url or product.url,
        secret="",
        kinds=list(kinds),
        source="cli",
        created_at=ctx.now(),
    )
    ctx.keys.seal(endpoint, "secret", product.secret)
    await stored(ctx, endpoint)
    return endpoint


@asynccontextmanager
async def reaching(ctx: Context, **how: Any) -> AsyncIterator[Context]:
    """The same worker, that may send to this machine."""
    outbound = Outbound(**{"allow_private": True, "timeout": timedelta(seconds=2)} | how)
    try:
        yield replace(ctx, outbound=outbound)
    finally:
        await outbound.close()


@pytest.fixture
async def product() -> AsyncIterator[Product]:
    """A product."""
    async with a_product() as product:
        yield product


@pytest.fixture
async def reach(ctx: Context) -> AsyncIterator[Context]:
    """A worker that may send to this machine."""
    async with reaching(ctx) as reach:
        yield reach


async def work(ctx: Context, rings: Rings, *, rounds: int = 50) -> None:
    """Sweep, and do what is rung for, until nothing is due."""
    for _ in range(rounds):
        await sweep(ctx)
        heard, rings.heard = rings.heard, []
        due = [(kind, ids) for kind, ids in heard if kind in TASKS]
        if not due:
            return
        await asyncio.gather(*(TASKS[kind](ctx, ids) for kind, ids in due))
    raise AssertionError("it never came to an end")


async def a_notice(
    ctx: Context, kind: NoticeKind = NoticeKind.DELETED, *, grant_id: str | None = None, seq: int = 1, **more: Any
) -> Notice:
    """Write a notice that is due now."""
    now = ctx.now()
    notice = Notice(
        id=new_id(),
        application_id=ctx.application_id,
        kind=kind,
        grant_id=grant_id,
        seq=seq,
        **{"data": {"seq": seq}, "occurred_at": now, "created_at": now, "due_at": now} | more,
    )
    await stored(ctx, notice)
    return notice


async def notices(ctx: Context, grant_id: str | None = None) -> list[Notice]:
    """Read the notices, of one grant or of all, in their order."""
    async with ctx.database.reading() as session:
        rows = (await session.scalars(select(Notice).order_by(col(Notice.seq), col(Notice.id)))).all()
    return [row for row in rows if grant_id in (None, row.grant_id)]


async def deliveries(ctx: Context, endpoint: Endpoint | None = None) -> list[Delivery]:
    """Read the deliveries, to one endpoint or to all."""
    async with ctx.database.reading() as session:
        rows = (await session.scalars(select(Delivery).order_by(col(Delivery.seq), col(Delivery.id)))).all()
    return [row for row in rows if endpoint is None or row.endpoint_id == endpoint.id]


async def the_endpoint(ctx: Context, endpoint: Endpoint) -> Endpoint:
    """Read an endpoint anew."""
    async with ctx.database.reading() as session:
        return await session.get_one(Endpoint, endpoint.id)
