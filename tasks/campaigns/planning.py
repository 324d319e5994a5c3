"""A campaign is asked for: its row and the event of the asking, in one transaction, once for each key."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Campaign, CampaignStatus
from models.columns import new_id
from models.inbox import receive, told
from models.inserting import insert_new
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.campaigns.requests import CampaignRequest
from tasks.context import Context


class Refused(ValueError):
    """A campaign can't be as it was asked for; the text says why, and what to do."""


async def write_campaign(
    session: AsyncSession,
    ctx: Context,
    request: CampaignRequest,
    *,
    source: str,
    actor: str | None,
    now: datetime,
    id: UUID | None = None,
    schedule_id: UUID | None = None,
    fired_for: datetime | None = None,
) -> tuple[Campaign, set[UUID]]:
    """Write a campaign, and the event that asks for it; return it with the ids of new events, to ring for.

    With an idempotency key that was used before it is that campaign, and no event is new. Raises Refused.
    """
    whom = wanted(request)
    campaign = Campaign(
        id=id or new_id(),
        application_id=ctx.application_id,
        status=CampaignStatus.PLANNED,
        filter=whom,
        created_at=now,
        source=source,
        actor=actor,
        rate=request.rate,
        max_failures=request.max_failures,
        ask_users=request.ask_users,
        idempotency_key=request.idempotency_key,
        schedule_id=schedule_id,
        fired_for=fired_for,
    )
    if not await insert_new(session, Campaign, [campaign.model_dump()]):
        return await _the_same(session, ctx, campaign), set()
    return await session.get_one(Campaign, campaign.id), await ask_for(session, campaign, now=now)


async def ask_for(session: AsyncSession, campaign: Campaign, *, now: datetime) -> set[UUID]:
    """Write the event that sets a planned campaign going; return its id if it is new."""
    event = told(
        REAUTH_BULK_REQUESTED,
        key_of(campaign.id),
        application_id=campaign.application_id,
        source=campaign.source,
        now=now,
        raw=json.dumps({"campaign": str(campaign.id)}).encode(),
    )
    return await receive(session, [event])


def key_of(campaign_id: UUID) -> str:
    """The key of the event that asks for a campaign."""
    return f"campaign:{campaign_id}"


def wanted(request: CampaignRequest) -> dict[str, Any]:
    """Return whom a request is for, as the campaign keeps it. Raises Refused."""
    if (request.filter is None) == (request.grants is None):
        raise Refused("say whom it is for: either by `filter` ({} is everybody), or by `grants`")
    if request.filter is not None:
        return request.filter.model_dump(mode="json", exclude_none=True)
    return {"grants": list(dict.fromkeys(request.grants or ()))}


async def _the_same(session: AsyncSession, ctx: Context, asked: Campaign) -> Campaign:
    """Return the campaign that was asked for by the same key, or the same id, before."""
    ours = col(Campaign.application_id) == ctx.application_id
    by_key = ours & (col(Campaign.idempotency_key) == asked.idempotency_key)
    same = col(Campaign.id) == asked.id
    found = await session.scalars(select(Campaign).where(by_key | same if asked.idempotency_key else same))
    campaign = found.one()
    told_before = (campaign.filter, campaign.rate, campaign.max_failures, campaign.ask_users)
    if told_before != (asked.filter, asked.rate, asked.max_failures, asked.ask_users):
        raise Refused(
            f"the idempotency key {asked.idempotency_key!r} belongs to campaign {campaign.id}, "
            "which asked for something else: use a new key"
        )
    return campaign
