"""The API's campaigns: asked for, listed, shown, and steered."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.api.bearer import Caller, needs
from ingress.api.campaign_shapes import CampaignShape, ItemShape, PreviewShape, WholeCampaign
from ingress.api.grants import Reader
from ingress.api.lists import State
from ingress.api.paging import Page, PageQuery, Text, page
from ingress.api.problems import Problem
from ingress.api.reach import Reached
from ingress.api.scopes import TokenScope
from ingress.campaign_lists import ended_of
from ingress.campaign_plans import plan
from ingress.campaign_progress import causes, pace_of, standing
from ingress.front import Front
from models import Campaign, CampaignItem, CampaignStatus, Grant, Outcome
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.campaigns import steering
from tasks.campaigns.planning import Refused, wanted, write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.steering import NotNow

router = APIRouter(tags=["campaigns"])

WAITED_FOR = 5.0
"""So long is waited for a million items to be given up, or opened anew; then it goes on by itself."""

Starter = Annotated[Caller, Depends(needs(TokenScope.CAMPAIGNS))]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=130,
        pattern=r"^[!-~]+$",
        description="The same key names the same campaign, however often it is asked for.",
    ),
]

_going_on: set[asyncio.Task[Any]] = set()


class StartQuery(BaseModel):
    """How a campaign is asked for."""

    model_config = ConfigDict(extra="forbid")

    dry_run: Annotated[bool, Field(description="Say what it would do, and do nothing.")] = False


class CampaignQuery(PageQuery):
    """Which campaigns are wanted."""

    status: CampaignStatus | None = None


class ItemQuery(PageQuery):
    """Which items are wanted."""

    state: Annotated[State | None, Field(description="`open`: still to be worked on.")] = None
    outcome: Outcome | None = None
    cause: Annotated[Text | None, Field(description="Those that failed for this cause.")] = None


async def known(front: Reached, campaign_id: UUID) -> Campaign:
    """Find a campaign. Raises Problem (404)."""
    async with front.context.database.reading() as session:
        campaign = await session.get(Campaign, campaign_id)
    if campaign is None or campaign.application_id != front.application_id:
        raise Problem(HTTPStatus.NOT_FOUND, "unknown_campaign", "No campaign has this id.")
    return campaign


Known = Annotated[Campaign, Depends(known)]


@router.post(
    "/campaigns",
    status_code=HTTPStatus.CREATED,
    responses={200: {"model": CampaignShape | PreviewShape, "description": "It was asked for before, or a dry run."}},
)
async def start_campaign(
    front: Reached,
    caller: Starter,
    query: Annotated[StartQuery, Query()],
    body: CampaignRequest,
    response: Response,
    key: Key = None,
) -> CampaignShape | PreviewShape:
    """Ask for a campaign: it is committed when this is answered, and starts within a second or two."""
    request, ctx = _with_key(body, key), front.context
    try:
        wanted(request)
    except Refused as refused:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{refused}.") from None
    if query.dry_run:
        response.status_code = HTTPStatus.OK
        return PreviewShape.of(await plan(ctx, request), budget=front.settings.nylas_rate, rate=request.rate)
    try:
        async with ctx.database.writing() as session:
            campaign, new = await write_campaign(
                session, ctx, request, source="api", actor=f"token {caller.name}", now=front.now()
            )
            shape = await _shape(session, campaign)
    except Refused as refused:
        raise Problem(HTTPStatus.CONFLICT, "idempotency_key_taken", f"{refused}.") from None
    ctx.ring(REAUTH_BULK_REQUESTED, list(new))
    if not new:
        response.status_code = HTTPStatus.OK
    return shape


@router.get("/campaigns", dependencies=[Reader])
async def list_campaigns(front: Reached, query: Annotated[CampaignQuery, Query()]) -> Page[CampaignShape]:
    """List campaigns, the newest first."""
    rows = select(Campaign).where(col(Campaign.application_id) == front.application_id)
    if query.status:
        rows = rows.where(col(Campaign.status) == query.status)
    if after := query.after_row:
        rows = rows.where(col(Campaign.id) < after)
    async with front.context.database.reading() as session:
        found = (await session.scalars(rows.order_by(col(Campaign.id).desc()).limit(query.limit + 1))).all()
        ended = await ended_of(session, [campaign.id for campaign in found])
    return page(
        found, query.limit, lambda row: CampaignShape.of(row, ended.get(row.id, {})), lambda campaign: campaign.id
    )


@router.get("/campaigns/{campaign_id}", dependencies=[Reader])
async def show_campaign(front: Reached, campaign: Known) -> WholeCampaign:
    """Show a campaign: how far it is, how fast it goes, and what failed, by cause."""
    async with front.context.database.reading() as session:
        now = await standing(session, campaign)
        pace = await pace_of(session, campaign, now=front.now())
        failures = await causes(session, campaign)
    return WholeCampaign.with_all(campaign, now, pace=pace, failures=failures)


@router.get("/campaigns/{campaign_id}/items", dependencies=[Reader])
async def list_items(front: Reached, campaign: Known, query: Annotated[ItemQuery, Query()]) -> Page[ItemShape]:
    """List the items of a campaign, in the order that they were written in."""
    rows = (
        select(CampaignItem, Grant)
        .outerjoin(Grant, col(CampaignItem.grant_id) == col(Grant.id))
        .where(col(CampaignItem.campaign_id) == campaign.id)
    )
    if query.state:
        is_open = col(CampaignItem.settled_at).is_(None)
        rows = rows.where(is_open if query.state is State.OPEN else ~is_open)
    if query.outcome:
        rows = rows.where(col(CampaignItem.outcome) == query.outcome)
    if query.cause is not None:
        rows = rows.where(col(CampaignItem.cause) == query.cause)
    if after := query.after_row:
        rows = rows.where(col(CampaignItem.id) > after)
    async with front.context.database.reading() as session:
        found = (await session.execute(rows.order_by(col(CampaignItem.id)).limit(query.limit + 1))).all()
    return page(found, query.limit, lambda row: ItemShape.of(row[0], row[1]), lambda row: row[0].id)


@router.post("/campaigns/{campaign_id}/pause")
async def pause_campaign(front: Reached, caller: Starter, campaign: Known) -> CampaignShape:
    """Pause a campaign: within two seconds nothing is asked of Nylas for it any more."""
    return await _steered(front, campaign, steering.pause(front.context, campaign.id, actor=_actor(caller)))


@router.post("/campaigns/{campaign_id}/resume")
async def resume_campaign(front: Reached, caller: Starter, campaign: Known) -> CampaignShape:
    """Let a campaign go on that was paused, or that stopped itself."""
    return await _steered(front, campaign, steering.resume(front.context, campaign.id, actor=_actor(caller)))


@router.post("/campaigns/{campaign_id}/cancel")
async def cancel_campaign(front: Reached, caller: Starter, campaign: Known) -> CampaignShape:
    """Give up what is left of a campaign. Of a large one the last items end a little after the answer."""
    return await _steered(front, campaign, steering.cancel(front.context, campaign.id, actor=_actor(caller)))


@router.post("/campaigns/{campaign_id}/retry")
async def retry_campaign(front: Reached, caller: Starter, campaign: Known) -> CampaignShape:
    """Try again what failed in a campaign, and nothing else."""
    return await _steered(front, campaign, _retried(front, campaign, caller))


async def _retried(front: Front, campaign: Campaign, caller: Caller) -> None:
    if not await steering.retry(front.context, campaign.id, actor=_actor(caller)):
        raise NotNow("nothing failed that could be tried again")


async def _steered(front: Front, campaign: Campaign, steer: Awaitable[object]) -> CampaignShape:
    """Wait for it, but not for long, and tell how the campaign stands. Raises Problem (409)."""
    task = asyncio.ensure_future(steer)
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)
    try:
        await asyncio.wait({task}, timeout=WAITED_FOR)
        if task.done():
            task.result()
    except NotNow as error:
        raise Problem(HTTPStatus.CONFLICT, "not_now", f"Campaign {campaign.id}: {error}.") from None
    async with front.context.database.reading() as session:
        return await _shape(session, await session.get_one(Campaign, campaign.id))


async def _shape(session: AsyncSession, campaign: Campaign) -> CampaignShape:
    return CampaignShape.of(campaign, (await ended_of(session, [campaign.id])).get(campaign.id, {}))


def _with_key(request: CampaignRequest, key: str | None) -> CampaignRequest:
    """Put the key of the header into the request; between quotes, as the draft of the header has it, or without."""
    if key is None:
        return request
    if len(key) > 2 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if len(key) > 128:
        detail = "header.Idempotency-Key: must not be longer than 128 characters."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail)
    if request.idempotency_key not in (None, key):
        detail = "header.Idempotency-Key: the body names another idempotency_key: give it once."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail)
    return request.model_copy(update={"idempotency_key": key})


def _actor(caller: Caller) -> str:
    return f"token {caller.name}"
