"""One life of a process under test: it takes in what arrives, and works until nothing is left, or until it dies."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
import uvloop
from sqlalchemy import select
from sqlalchemy.orm import configure_mappers
from sqlmodel import col

from lifecycle import Policy
from lifecycle.retirement import RetirementPolicy
from models import CampaignItem, Delivery, Event, Notice, RetirementItem
from models.database import DRIVERS, Database
from models.rings import RING_AGAIN
from models.sealing import Keyring
from nylas_api import HttpClient, NylasClient, open_http
from storm.kills.points import Point, Watch, WatchedHttp, WatchedOutbound, watch_database, watched_ring
from storm.nylas import Nylas
from tasks.clock import system_clock
from tasks.context import Context
from tasks.notices.outbound import Outbound
from worker.app import make_app
from worker.sweeper import sweep

API_KEY, CLIENT_ID = "nyk_of_the_kill_matrix", "kill-matrix"
POLICY = Policy(retirement=RetirementPolicy(timedelta(days=30)))
MOST_ROUNDS = 400
A_MOMENT = timedelta(milliseconds=50)

# A life begins by a fork of a process that has done this once.
app = make_app("redis://127.0.0.1:1/0")
app.loader.import_default_modules()
app.finalize()
configure_mappers()
for driver in DRIVERS.values():
    import_module(driver.partition("+")[2])

Told = Mapping[str, str]
Arriving = Callable[[Context, Told], Any]


class NeverQuiet(Exception):
    """There is still something to do, and nobody does it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a life is told: where its parts are, what arrives, and where it is to die."""

    database_url: str
    nylas_url: str
    application_id: UUID
    sealing_key: bytes = field(repr=False)
    arrive: Arriving | None
    """None: an earlier life has taken it in."""
    told: Told
    until: datetime
    passed: Path
    arrived: Path
    log: Path
    fatal: Point | None = None
    change: Callable[[], None] | None = None
    """A mistake that is put into the product, to see whether it is found."""


@dataclass(slots=True)
class Clock:
    """The clock of Nylas and of ourselves, which is moved where there is nothing to do before a later moment."""

    nylas: Nylas
    ahead: int = 0

    def __call__(self) -> datetime:
        """Tell the time."""
        return system_clock() + timedelta(seconds=self.ahead)

    async def forward(self, step: timedelta) -> None:
        """Let so much time pass, for Nylas as well."""
        told = await self.nylas.control("POST", "clock", {"forward_s": ceil(step.total_seconds())})
        self.ahead = told["ahead_s"]


def open_context(
    database: Database,
    http: HttpClient,
    *,
    nylas_url: str,
    application_id: UUID,
    sealing_key: bytes,
    now: Callable[[], datetime],
    ring: Callable[[str, Sequence[UUID]], None],
    outbound: Outbound,
) -> Context:
    """Make the context of a worker, of its real parts."""
    nylas = NylasClient(api_uri=nylas_url, api_key=API_KEY, client_id=CLIENT_ID, http=http, now=now)
    keys = Keyring([sealing_key])
    return Context(application_id, database, nylas, keys, ring, now, lambda: 0.5, policy=POLICY, outbound=outbound)


def live(order: Order) -> None:
    """Live, as a process of its own."""
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if order.change:
        order.change()
    uvloop.run(_live(order))


async def _live(order: Order) -> None:
    watch = Watch(order.passed, order.fatal)
    rung: list[tuple[str, list[UUID]]] = []
    database, http, outbound = Database(order.database_url), open_http(connections=50), WatchedOutbound(watch)
    watch_database(database, watch)
    async with Nylas(order.nylas_url, API_KEY) as control:
        clock = Clock(control)
        await clock.forward(timedelta())
        ctx = open_context(
            database,
            WatchedHttp(http, watch),
            nylas_url=order.nylas_url,
            application_id=order.application_id,
            sealing_key=order.sealing_key,
            now=clock,
            ring=watched_ring(lambda kind, ids: rung.append((kind, list(ids))), watch),
            outbound=outbound,
        )
        if order.arrive:
            await order.arrive(ctx, order.told)
            order.arrived.touch()
        await _work(ctx, clock, rung, order.until)
    await http.aclose()
    await outbound.close()
    await database.close()


async def _work(ctx: Context, clock: Clock, rung: list[tuple[str, list[UUID]]], until: datetime) -> None:
    """Answer the rings, and sweep, as a worker does; where nothing is due, let time pass to when something is."""
    for _ in range(MOST_ROUNDS):
        heard, rung[:] = rung[:], []
        await asyncio.gather(*(app.tasks[kind].run(ctx, ids) for kind, ids in heard))
        swept_at = ctx.now()
        await sweep(ctx)
        if rung:
            continue
        moments = await next_moments(ctx)
        later = [moment for moment in moments if moment > swept_at]
        if not later or min(later) > until:
            if len(later) < len(moments):
                break
            return
        await clock.forward(max(min(later) - ctx.now(), timedelta()) + A_MOMENT)
    raise NeverQuiet


async def next_moments(ctx: Context) -> list[datetime]:
    """When each row that is open can be worked on next."""
    moments = list[datetime]()
    async with ctx.database.reading() as session:
        for model in (Event, Notice, Delivery, CampaignItem, RetirementItem):
            columns = (col(model.due_at), col(model.lease_until), col(model.rung_at))
            wanted = select(*columns).where(col(model.settled_at).is_(None))
            if model is Notice:
                wanted = wanted.where(col(Notice.held_by).is_(None))
            for due, lease, rung in (await session.execute(wanted)).all():
                moments.append(max(one for one in (due, lease, rung and rung + RING_AGAIN) if one))
    return moments
