"""The commands that start a campaign and watch it."""

import asyncio
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy import func, select
from sqlmodel import col

from ingress.terminal import err, say
from models import Campaign, CampaignItem, CampaignStatus, Grant, Outcome
from models.columns import new_id
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.bulk_reauth import GrantFilter, plan_campaign
from tasks.connectors import by_its_own_credential
from worker.runtime import Runtime

LOOKS_EVERY = 0.25
SAYS_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign would do: how many grants match, and how many of them have a credential to renew them by."""

    matching: int
    by_credential: int
    rate: float

    @property
    def seconds(self) -> float:
        """How long the calls take at the budget."""
        return self.by_credential / self.rate if self.rate else 0.0

    def in_words(self) -> str:
        """The plan as a sentence or two."""
        alone = self.matching - self.by_credential
        text = f"{self.matching} grants match; {self.by_credential} can be renewed by their credential"
        text += f", in about {self.seconds:.0f} s at {self.rate:g} calls a second." if self.rate else "."
        return text + (f" {alone} have none: only their users can sign in again; they are skipped." if alone else "")


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


async def plan(runtime: Runtime, wanted: GrantFilter) -> Plan:
    """Count what a campaign would be about; nothing is written."""
    matching = wanted.matches(runtime.application.id)
    async with runtime.context.database.reading() as session:
        total = await session.scalar(select(func.count()).where(matching))
        ready = matching & by_its_own_credential() & col(Grant.email).is_not(None)
        able = await session.scalar(select(func.count()).where(ready))
    return Plan(total or 0, able or 0, runtime.settings.nylas_rate)


async def start(runtime: Runtime, wanted: GrantFilter) -> Campaign:
    """Write the campaign and the event that asks for it, in one transaction, and ring."""
    context, campaign_id = runtime.context, new_id()
    async with context.database.writing() as session:
        new = await plan_campaign(
            session, runtime.application.id, wanted, id=campaign_id, source="cli", now=context.now()
        )
        campaign = await session.get_one(Campaign, campaign_id)
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
            if standing.status is CampaignStatus.FINISHED:
                return standing
            if not err.is_terminal and clock() - said_at >= SAYS_EVERY:
                say(standing.in_words())
                said_at = clock()
            await asyncio.sleep(LOOKS_EVERY)
