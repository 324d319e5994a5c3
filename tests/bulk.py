"""What the tests of campaigns share: one that was asked for, worked on by a worker that hears its own rings."""

from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from models import Campaign, CampaignItem, CampaignStatus, Outcome
from models.kinds import REAUTH_REQUESTED
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.planning import write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.starting import start_campaigns
from tasks.campaigns.working import reauthenticate
from tasks.context import Context
from tests.conftest import Rings
from tests.stories import the_items

CUSTOM = "/v3/connect/custom"
ACCOUNT = "service-account"
EVERYBODY = CampaignRequest(filter=GrantFilter())


async def asked(ctx: Context, request: CampaignRequest = EVERYBODY) -> tuple[Campaign, set[UUID]]:
    """Ask for a campaign: for all grants, if nothing else is said."""
    async with ctx.database.writing() as session:
        return await write_campaign(session, ctx, request, source="cli", actor="an admin", now=ctx.now())


async def started(ctx: Context, request: CampaignRequest = EVERYBODY) -> UUID:
    """Ask for one, and let it start."""
    campaign, events = await asked(ctx, request)
    await start_campaigns.run(ctx, list(events))
    return campaign.id


async def run_out(ctx: Context, rings: Rings) -> None:
    """Answer the rings for items until nobody rings any more."""
    while rung := [one for one in rings.heard if one[0] == REAUTH_REQUESTED]:
        rings.heard.remove(rung[0])
        await reauthenticate.run(ctx, rung[0][1])


async def standing(ctx: Context, campaign_id: UUID) -> CampaignStatus:
    """Read where a campaign is."""
    async with ctx.database.reading() as session:
        return (await session.scalars(select(col(Campaign.status)).where(col(Campaign.id) == campaign_id))).one()


async def ends(ctx: Context, campaign_id: UUID) -> dict[str | None, tuple[Outcome | None, str | None]]:
    """Read how its items ended, by grant."""
    return {item.grant_id: (item.outcome, item.reason) for item in await the_items(ctx, campaign_id)}


async def in_order(ctx: Context, ids: list[UUID]) -> list[str | None]:
    """Name the grants of these items, in this order."""
    async with ctx.database.reading() as session:
        rows = {row.id: row.grant_id for row in await session.scalars(select(CampaignItem))}
    return [rows[id] for id in ids]
