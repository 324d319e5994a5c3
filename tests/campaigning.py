"""Campaigns as an installation has them: what a command opens, what a worker would do, and the rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus, Event, Outcome, Way
from models.columns import new_id
from models.database import Database
from models.kinds import REAUTH_BULK_REQUESTED, REAUTH_REQUESTED
from simulator import Running
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tests.api import NOW, Api
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


def a_campaign(api: Api, status: CampaignStatus, **more: Any) -> Campaign:
    """The row of a campaign."""
    row = Campaign(id=new_id(), application_id=api.application.id, status=status, created_at=NOW, source="cli")
    for name, value in more.items():
        setattr(row, name, value)
    return row


def an_item(campaign: Campaign, grant_id: str | None, **more: Any) -> CampaignItem:
    """The row of an item."""
    row = CampaignItem(id=new_id(), campaign_id=campaign.id, grant_id=grant_id, way=Way.CREDENTIAL, due_at=NOW)
    for name, value in more.items():
        setattr(row, name, value)
    return row


async def failed(api: Api, status: CampaignStatus = CampaignStatus.FINISHED) -> Campaign:
    """Keep a campaign with one item done, one failed, and one of a mailbox that has no grant."""
    campaign = a_campaign(api, status, total=3, started_at=NOW, finished_at=NOW)
    ended: dict[str, Any] = {"settled_at": NOW}
    await api.keep(campaign)
    await api.keep(
        an_item(campaign, "g1", outcome=Outcome.DONE, request_id="req-1", **ended),
        an_item(campaign, "g2", outcome=Outcome.FAILED, cause="invalid_grant", request_id="req-2", **ended),
        an_item(campaign, None, outcome=Outcome.SKIPPED, email="a@example.com", provider="imap", line=7, **ended),
    )
    return campaign
