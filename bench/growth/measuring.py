"""One process that does the recurring work on a filled database, and says how long each took and what it weighed."""

import asyncio
import io
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

from sqlalchemy import select, update
from sqlmodel import col

from bench.course import Figures
from bench.growth.filling import RUNNING, credential_of
from ingress.api.grants import GrantQuery
from ingress.api.grants import list_grants as page_of_grants
from ingress.campaign_progress import pace_of, standing
from ingress.front import Front
from ingress.grant_lists import list_grants
from ingress.intake import Intake
from ingress.story.command import why
from lifecycle import GrantStatus
from models import Campaign, CampaignItem, CampaignStatus, Event, Grant
from models.rings import RING_AGAIN, take_unrung
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.ending import given_up
from tasks.campaigns.planning import write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.starting import start_campaigns
from tasks.context import Context
from worker.due import our_events
from worker.runtime import Runtime, open_runtime
from worker.settings import read
from worker.sweeper import sweep

TIMES = 5


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.time

    def let_all_be_rung_again(self) -> None:
        """Move on, so that what was rung for is due to be rung for once more."""
        self.time += RING_AGAIN + timedelta(seconds=1)


def peak_memory() -> float:
    """The most memory that this process ever had resident, in MB."""
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    """The median of some runs; the first one, which fills caches, does not count."""
    took = [await _seconds(work()) * 1_000 for _ in range(TIMES + 1)]
    return median(took[1:])


async def _seconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _sweeps(ctx: Context, clock: Clock) -> Figures:
    """A sweep that finds much due, and one that finds that all of it was rung for."""
    busy, idle = [], []
    for _ in range(TIMES + 1):
        clock.let_all_be_rung_again()
        busy.append(await _seconds(sweep(ctx)) * 1_000)
        while await sweep(ctx):
            pass
        idle.append(await _seconds(sweep(ctx)) * 1_000)
    return {"sweep_ms": median(busy[1:]), "idle_sweep_ms": median(idle[1:])}


async def _due(ctx: Context, clock: Clock) -> None:
    clock.let_all_be_rung_again()
    async with ctx.database.writing() as session:
        assert await take_unrung(session, Event, our_events(ctx.application_id), now=clock(), most=100)


async def _plan(ctx: Context, whom: GrantFilter) -> tuple[float, int]:
    """Plan a campaign; return how many seconds that took, and for how many grants. It is cancelled at once."""
    request = CampaignRequest(filter=whom)
    async with ctx.database.writing() as session:
        campaign, events = await write_campaign(session, ctx, request, source="cli", actor=None, now=ctx.now())
    took = await _seconds(start_campaigns.run(ctx, list(events)))
    async with ctx.database.writing() as session:
        its = await session.get_one(Campaign, campaign.id, populate_existing=True)
        its.status, its.finished_at = CampaignStatus.CANCELLED, ctx.now()
        still = (col(CampaignItem.campaign_id) == campaign.id) & col(CampaignItem.settled_at).is_(None)
        await session.execute(update(CampaignItem).where(still).values(given_up(ctx.now())))
    return took, its.total


async def _planning(ctx: Context) -> Figures:
    """For the grants of one credential, of which there are as many as always; then for all that expired."""
    one = [(await _plan(ctx, GrantFilter(credential_id=credential_of(0))))[0] for _ in range(TIMES)]
    took, items = await _plan(ctx, GrantFilter(status=GrantStatus.EXPIRED))
    return {"plan_credential_ms": median(one) * 1_000, "plan_expired_ms_each": took * 1_000 / max(items, 1)}


async def _lists(runtime: Runtime, ctx: Context) -> Figures:
    """The pages that humans and the product look at, and the story of one grant."""
    front = Front(runtime.settings, ctx, Intake(ctx.database, ring=ctx.ring), ())
    async with ctx.database.reading() as session:
        some = select(Grant).where(col(Grant.status) == GrantStatus.EXPIRED).order_by(col(Grant.id)).limit(2)
        grant = (await session.scalars(some)).all()[-1]
    expired = GrantQuery(status=GrantStatus.EXPIRED)
    filters: dict[str, str | None] = {"status": None, "provider": None, "missing_scope": None}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return {
            "api_page_ms": await _milliseconds(lambda: page_of_grants(front, GrantQuery())),
            "api_expired_page_ms": await _milliseconds(lambda: page_of_grants(front, expired)),
            "list_ms": await _milliseconds(lambda: list_grants(runtime, filters, after=None, limit=100, as_json=True)),
            "why_ms": await _milliseconds(lambda: why(runtime, grant.email or "", as_json=True)),
        }


async def _progress(ctx: Context, campaign_id: UUID) -> None:
    async with ctx.database.reading() as session:
        campaign = await session.get_one(Campaign, campaign_id)
        await standing(session, campaign)
        await pace_of(session, campaign, now=ctx.now())


async def measured() -> Figures:
    """Do all of it once."""
    clock = Clock()
    runtime = await open_runtime(read(), ring=lambda _kind, _ids: None)
    runtime = replace(runtime, context=replace(runtime.context, now=clock))
    ctx = runtime.context
    try:
        figures = await _sweeps(ctx, clock)
        figures["due_ms"] = await _milliseconds(lambda: _due(ctx, clock))
        figures |= await _lists(runtime, ctx)
        figures["progress_ms"] = await _milliseconds(lambda: _progress(ctx, RUNNING))
        figures |= await _planning(ctx)
        return figures | {"peak_mb": peak_memory()}
    finally:
        await runtime.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measured())))
