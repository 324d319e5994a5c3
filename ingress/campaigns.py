"""A campaign is started, and watched, at a terminal or where there is none."""

import asyncio
from datetime import timedelta
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingress.campaign_progress import STILL, Pace, Standing, seconds_left, standing
from ingress.terminal import err, fail, say
from models import Campaign
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.campaigns.planning import Refused, write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.context import Context

LOOKS_EVERY = 0.25
LOOKS_AT_MOST = 0.2
"""The share of the time that may go into looking: of a million items a look takes longer."""
SAYS_EVERY = 5.0
INTERRUPTED = 130


async def start(ctx: Context, request: CampaignRequest) -> Campaign:
    """Write the campaign and the event that asks for it, in one transaction, and ring; exits with 2 if it can't be."""
    try:
        async with ctx.database.writing() as session:
            campaign, new = await write_campaign(session, ctx, request, source="cli", actor="an admin", now=ctx.now())
    except Refused as refused:
        fail(f"{refused}.", code=2)
    ctx.ring(REAUTH_BULK_REQUESTED, list(new))
    return campaign


async def look(ctx: Context, campaign_id: UUID) -> Standing:
    """Say how far the campaign is."""
    async with ctx.database.reading() as session:
        return await standing(session, await session.get_one(Campaign, campaign_id))


async def watch(ctx: Context, campaign_id: UUID) -> Standing:
    """Show the progress while the campaign runs: a bar on a terminal, a line now and then elsewhere.

    Ends when it does, or when only users are left that were asked to sign in. Whoever interrupts it stops watching,
    and nothing else.
    """
    try:
        return await _watch(ctx, campaign_id)
    except asyncio.CancelledError:
        say(
            f"Watching has stopped; campaign {campaign_id} goes on. "
            f"(evergrant campaigns show {campaign_id}; to give it up: evergrant campaigns cancel {campaign_id})"
        )
        raise typer.Exit(INTERRUPTED) from None


async def _watch(ctx: Context, campaign_id: UUID) -> Standing:
    columns = (
        TextColumn("re-authenticating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed, {task.fields[pace]:.1f} a second"),
        TimeRemainingColumn(),
    )
    clock = asyncio.get_running_loop().time
    said_at, pace = clock(), Pace()
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        bar = progress.add_task("", total=None, failed=0, pace=0.0)
        while True:
            begun = clock()
            now = await look(ctx, campaign_id)
            a_second = pace.of(now.done, ctx.now())
            progress.update(bar, completed=now.done, total=now.total or None, failed=now.failed, pace=a_second)
            if now.status not in STILL or now.only_waits:
                return now
            if not err.is_terminal and clock() - said_at >= SAYS_EVERY:
                say(_line(now, a_second))
                said_at = clock()
            await asyncio.sleep(max(LOOKS_EVERY, (clock() - begun) / LOOKS_AT_MOST))


def _line(now: Standing, a_second: float) -> str:
    left = seconds_left(now, a_second)
    ends = f", about {timedelta(seconds=round(left))} left" if left is not None else ""
    return f"{now.in_words()}; {a_second:.1f} a second{ends}"
