"""The items of a campaign: authenticate each mailbox anew at Nylas, and write each result as it comes."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from celery import shared_task
from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignItemData, GrantData, KnownConnector, Way
from models.bulk import read_grants
from models.cancellation import to_its_end
from models.kinds import GRANT_REPORTED, REAUTH_REQUESTED
from models.rings import leave_unrung
from nylas_api import Withheld, wanted
from tasks.campaigns.ending import finish_if_done
from tasks.campaigns.following import Following
from tasks.campaigns.results import Result, settle
from tasks.campaigns.serving import next_turn_in, ring_next
from tasks.campaigns.ways import Kept, kept_secrets, renew_item
from tasks.claiming import Claim, claimed
from tasks.connectors import known_connectors
from tasks.context import Context

A_MOMENT = 0.05
"""Seconds in which more results are waited for."""


@shared_task(name=REAUTH_REQUESTED)
async def reauthenticate(ctx: Context, item_ids: Sequence[UUID]) -> None:
    """Re-authenticate a chunk of a campaign's grants, side by side.

    A process that works on enough chunks already lets this one go before it claims anything: the rows stay due, and
    each chunk that ends rings for the next, which may be this one.
    """
    if ctx.bulk.locked():
        async with ctx.database.writing() as session:
            await leave_unrung(session, CampaignItem, item_ids, now=ctx.now())
        return
    async with ctx.bulk:
        async with claimed(ctx, CampaignItemData, item_ids) as claim:
            if not claim.rows:
                return
            await _work(claim, await _read(claim))
        for campaign_id in {item.campaign_id for item in claim.rows}:
            await finish_if_done(ctx, campaign_id)
        if not await ring_next(ctx) and (wait := await next_turn_in(ctx)):
            await asyncio.sleep(wait)
            await ring_next(ctx)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is known of the items of a chunk."""

    campaigns: Sequence[Campaign]
    grants: Mapping[str, GrantData]
    connectors: Mapping[str, KnownConnector]
    kept: Kept


@dataclass(frozen=True, slots=True, eq=False)
class Came:
    """The result of an item has come; `settled` is done when it is committed."""

    item: CampaignItemData
    result: Result
    settled: "asyncio.Future[None]"


async def _read(claim: Claim[CampaignItemData]) -> Chunk:
    ctx = claim.ctx
    async with ctx.database.reading() as session:
        ours = select(Campaign).where(col(Campaign.id).in_({item.campaign_id for item in claim.rows}))
        grants = await read_grants(session, [item.grant_id for item in claim.rows if item.grant_id])
        return Chunk(
            (await session.scalars(ours)).all(),
            grants,
            await known_connectors(ctx, session),
            await kept_secrets(session, ctx, claim.rows, grants),
        )


async def _work(claim: Claim[CampaignItemData], chunk: Chunk) -> None:
    ctx, following = claim.ctx, Following(claim.ctx, chunk.campaigns)
    results: asyncio.Queue[Came] = asyncio.Queue()

    async def ask(item: CampaignItemData) -> None:
        wanted.set(lambda: claim.lasts and following.runs(item.campaign_id))
        async with ctx.flow.place():
            if item.way is Way.HOSTED:
                result: Result = Way.HOSTED
            elif not claim.lasts:
                result = Withheld("others may have it by now")
            elif following.runs(item.campaign_id):
                claim.asked.add(item.id)
                result = await renew_item(
                    ctx, item, chunk.grants.get(item.grant_id or ""), chunk.connectors, chunk.kept
                )
                claim.asked.discard(item.id)
                ctx.flow.heard(result)
            else:
                result = Withheld("its campaign does not run")
            came = Came(item, result, asyncio.get_running_loop().create_future())
            results.put_nowait(came)
            await came.settled

    follower = asyncio.create_task(following.follow())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_settle_as_they_come(claim, results, following))
            for item in claim.rows:
                group.create_task(ask(item))
    finally:
        follower.cancel()


async def _settle_as_they_come(
    claim: Claim[CampaignItemData], results: asyncio.Queue[Came], following: Following
) -> None:
    """Commit what has come in a moment, again and again: little is asked twice if we die.

    What has come when we are stopped is committed before we end. It takes about as long for fifty results as for one.
    """
    left, came = len(claim.rows), list[Came]()

    async def commit() -> None:
        nonlocal left
        while not results.empty():
            came.append(results.get_nowait())
        batch = list(came)
        came.clear()
        left -= len(batch)
        if not batch:
            return
        new = await settle(claim, {one.item.id: one.result for one in batch}, following)
        for one in batch:
            if not one.settled.done():  # else who waits for it was stopped
                one.settled.set_result(None)
        claim.ctx.ring(GRANT_REPORTED, list(new))

    try:
        while left:
            came.append(await results.get())
            if left > 1:
                await asyncio.sleep(A_MOMENT)
            await to_its_end(asyncio.create_task(commit()))
    except asyncio.CancelledError:
        with suppress(Exception):  # it is let go with the others then
            await to_its_end(asyncio.create_task(commit()))
        raise
