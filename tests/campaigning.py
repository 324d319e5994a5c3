"""Campaigns as an installation has them: what a command opens, what a worker would do, and the rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignItem, Event
from models.database import Database
from models.kinds import REAUTH_BULK_REQUESTED, REAUTH_REQUESTED
from simulator import Running
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tests.conftest import Rings
from tests.in_process import Command
from tests.stories import seed
from worker.runtime import Runtime, open_runtime
from worker.settings import read

ACCOUNT = "service-account"


@asynccontextmanager
async def inside(evergrant: Command) -> AsyncIterator[Runtime]:
    """What a command opens; nobody hears it ring."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in evergrant.settings.items():
            patch.setenv(f"EVERGRANT_{name}", value)
        runtime = await open_runtime(read(), ring=lambda _kind, _ids: None)
    yield runtime
    await runtime.close()


async def work(evergrant: Command) -> None:
    """Start the campaigns that were asked for, and work on them until nothing is due."""
    rings = Rings()
    async with inside(evergrant) as runtime:
        ctx = replace(runtime.context, ring=rings)
        asked = select(col(Event.id)).where(col(Event.kind) == REAUTH_BULK_REQUESTED)
        async with ctx.database.reading() as session:
            events = (await session.scalars(asked)).all()
        await start_campaigns.run(ctx, events)
        while rings.heard:
            kind, ids = rings.heard.pop(0)
            if kind == REAUTH_REQUESTED:
                await reauthenticate.run(ctx, ids)


async def imported(evergrant: Command, sim: Running, number: int = 3, *, credential_id: str | None = None) -> list[str]:
    """Let Nylas have so many grants, and import them."""
    ids = seed(sim, number, credential_id=credential_id)
    assert (await evergrant("sync")).code == 0
    return ids


async def campaigns(database: Database) -> list[Campaign]:
    """All campaigns, the oldest first."""
    async with database.reading() as session:
        return list(await session.scalars(select(Campaign).order_by(col(Campaign.id))))


async def items(database: Database) -> list[CampaignItem]:
    """All items of campaigns, the oldest first."""
    async with database.reading() as session:
        return list(await session.scalars(select(CampaignItem).order_by(col(CampaignItem.id))))
