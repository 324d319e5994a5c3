"""The commands that start a campaign and watch it."""

import asyncio
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy import func, select
from sqlmodel import col

from ingress.terminal import err, say
from models import Campaign, CampaignItem, CampaignStatus, Outcome
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.planning import write_campaign
from tasks.campaigns.preview import Preview, preview
from tasks.campaigns.requests import CampaignRequest
from worker.runtime import Runtime

LOOKS_EVERY = 0.25
SAYS_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a campaign is: its items by outcome."""

    status: CampaignStatus
    total: int
    ended: dict[Outcome, int]

    @property
    def done(self) -> int:
        """How many items have ended, whatever the end."""
        return sum(self.ended.values())

    def in_words(self) -> str:
        """`500 of 500: 498 done, 2 failed`."""
        counts = ", ".join(f"{count} {outcome.value}" for outcome, count in sorted(self.ended.items()))
        return f"{self.done} of {self.total}" + (f": {counts}" if counts else "")


async def plan(runtime: Runtime, request: CampaignRequest) -> Preview:
    """Count what a campaign would do; nothing is written."""
    context = runtime.context
    wanted = request.filter or GrantFilter()
    async with context.database.reading() as session:
        return await preview(
            session, runtime.application.id, wanted, ask_users=request.ask_users, now=context.now()
        )


async def start(runtime: Runtime, request: CampaignRequest) -> Campaign:
    """Write the campaign and the event that asks for it, in one transaction, and ring."""
    context = runtime.context
    async with context.database.writing() as session:
        campaign, new = await write_campaign(
            session, context, request, source="cli", actor="an admin", now=context.now()
        )
    context.ring(REAUTH_BULK_REQUESTED, list(new))
    return campaign


async def look(runtime: Runtime, campaign: Campaign) -> Standing:
    """Say how far the campaign is."""
    of_it = col(CampaignItem.campaign_id) == campaign.id
    counted = (
        select(col(CampaignItem.outcome), func.count())
        .where(of_it, col(CampaignItem.settled_at).is_not(None))
        .group_by(col(CampaignItem.outcome))
    )
    async with runtime.context.database.reading() as session:
        fresh = await session.get_one(Campaign, campaign.id)
        ended = {outcome: count for outcome, count in (await session.execute(counted)).all() if outcome}
    return Standing(fresh.status, fresh.total, ended)


async def watch(runtime: Runtime, campaign: Campaign) -> Standing:
    """Show the progress until the campaign has finished: a bar on a terminal, a line now and then elsewhere."""
    columns = (
        TextColumn("re-authenticating"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    clock = asyncio.get_running_loop().time
    said_at = clock()
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        while True:
            standing = await look(runtime, campaign)
            progress.update(bar, completed=standing.done, total=standing.total or None)
            if standing.status not in (CampaignStatus.PLANNED, CampaignStatus.RUNNING):
                return standing
            if not err.is_terminal and clock() - said_at >= SAYS_EVERY:
                say(standing.in_words())
                said_at = clock()
            await asyncio.sleep(LOOKS_EVERY)
