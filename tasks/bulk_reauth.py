"""Somebody asks for many re-authentications: write one item for each grant, and ring for the first of them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from celery import shared_task
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import Campaign, CampaignItem, CampaignStatus, Event, Grant, Outcome
from models.claims import close, take_unrung
from models.columns import new_id
from models.inbox import insert_or_ignore, receive, told
from models.kinds import REAUTH_BULK_REQUESTED, REAUTH_REQUESTED, most_ids
from tasks.claiming import Claim, each_alone
from tasks.context import BULK_CHUNKS_AT_ONCE, Context
from tasks.scopes import Scope, lacks
from tasks.telling import tell_of_campaign

ITEMS_A_TRANSACTION = 5_000


class GrantFilter(BaseModel):
    """Which grants a campaign is for. What is left out does not matter; deleted grants are never chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str | None = None
    status: GrantStatus | None = None
    credential_id: str | None = None
    grant_id: str | None = None
    expired_since: datetime | None = None
    missing_scope: Scope | None = None

    def matches(self, application_id: UUID) -> ColumnElement[bool]:
        """The filter in SQL."""
        matching = (col(Grant.application_id) == application_id) & (col(Grant.status) != GrantStatus.DELETED)
        if self.provider:
            matching &= col(Grant.provider) == self.provider
        if self.status:
            matching &= col(Grant.status) == self.status
        if self.credential_id:
            matching &= col(Grant.credential_id) == self.credential_id
        if self.grant_id:
            matching &= col(Grant.id) == self.grant_id
        if self.expired_since:
            matching &= col(Grant.expiry_seen_at) >= self.expired_since
        if self.missing_scope:
            matching &= lacks(application_id, self.missing_scope)
        return matching


async def plan_campaign(
    session: AsyncSession, application_id: UUID, wanted: GrantFilter, *, id: UUID, source: str, now: datetime
) -> set[UUID]:
    """Write a campaign, and the event that asks for it; return the event's id, to ring for."""
    session.add(
        Campaign(
            id=id,
            application_id=application_id,
            status=CampaignStatus.PLANNED,
            filter=wanted.model_dump(mode="json", exclude_none=True),
            created_at=now,
        )
    )
    await session.flush()
    raw = json.dumps({"campaign": str(id)}).encode()
    event = told(
        REAUTH_BULK_REQUESTED, f"campaign:{id}", application_id=application_id, source=source, now=now, raw=raw
    )
    return await receive(session, [event])


@shared_task(name=REAUTH_BULK_REQUESTED)
async def start_campaigns(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """Write the items of each campaign that was asked for, and set it running."""
    await each_alone(ctx, Event, event_ids, _start)


async def _start(claim: Claim[Event], event: Event) -> None:
    ctx = claim.ctx
    campaign_id = UUID(json.loads(event.raw)["campaign"])
    async with ctx.database.reading() as session:
        campaign = await session.get(Campaign, campaign_id)
    if campaign is None:
        async with claim.settling() as (_session, events):
            for row in events:
                close(row, Outcome.SET_ASIDE, now=ctx.now(), reason="there is no such campaign")
        return
    if campaign.status is CampaignStatus.PLANNED:
        await _write_items(ctx, campaign)
    async with claim.settling() as (session, events):
        if not events:
            return
        total = await session.scalar(select(func.count()).where(col(CampaignItem.campaign_id) == campaign_id))
        running = update(Campaign).where(col(Campaign.id) == campaign_id)
        await session.execute(
            running.where(col(Campaign.status) == CampaignStatus.PLANNED).values(
                status=CampaignStatus.RUNNING, started_at=ctx.now(), total=total
            )
        )
        for row in events:
            close(row, Outcome.DONE, now=ctx.now(), reason=f"{total} grants to re-authenticate")
    await ring_next(ctx, campaign_id, chunks=BULK_CHUNKS_AT_ONCE)
    await finish_if_done(ctx, campaign_id)


async def _write_items(ctx: Context, campaign: Campaign) -> None:
    """Write the items in parts, from one grant id to the next; a second run adds only what is missing."""
    matching = GrantFilter.model_validate(campaign.filter).matches(campaign.application_id)
    after = ""
    while True:
        async with ctx.database.writing() as session:
            part = select(col(Grant.id)).where(matching, col(Grant.id) > after).order_by(col(Grant.id))
            ids = list((await session.scalars(part.limit(ITEMS_A_TRANSACTION))).all())
            if not ids:
                return
            now = ctx.now()
            items: list[dict[str, Any]] = [
                CampaignItem(id=new_id(), campaign_id=campaign.id, grant_id=grant_id, due_at=now).model_dump()
                for grant_id in ids
            ]
            await session.execute(insert_or_ignore(session, CampaignItem), items)
        after = ids[-1]


async def ring_next(ctx: Context, campaign_id: UUID, *, chunks: int = 1) -> None:
    """Ring for the next items that are due and that nobody was told of lately."""
    size = most_ids(REAUTH_REQUESTED)
    of_it = col(CampaignItem.campaign_id) == campaign_id
    async with ctx.database.writing() as session:
        items = await take_unrung(session, CampaignItem, of_it, now=ctx.now(), most=size * chunks)
    ids = [item.id for item in items]
    for start in range(0, len(ids), size):
        ctx.ring(REAUTH_REQUESTED, ids[start : start + size])


def nothing_left() -> ColumnElement[bool]:
    """In SQL: the campaign has no item that is still open."""
    return ~exists().where(col(CampaignItem.campaign_id) == col(Campaign.id), col(CampaignItem.settled_at).is_(None))


async def finish_if_done(ctx: Context, campaign_id: UUID) -> bool:
    """Close the campaign if no item is left, and tell of it; say whether that happened now.

    In a transaction of its own, after the items': of two workers that settle the last items at the same time, each
    would still see the other's as open.
    """
    closing = (
        update(Campaign)
        .where(col(Campaign.id) == campaign_id, col(Campaign.status) == CampaignStatus.RUNNING, nothing_left())
        .values(status=CampaignStatus.FINISHED, finished_at=ctx.now())
        .returning(col(Campaign.id))
    )
    async with ctx.database.writing() as session:
        if (await session.execute(closing)).first() is None:
            return False
        await tell_of_campaign(ctx, session, campaign_id, now=ctx.now())
        return True
