"""The API's stream of how far a campaign is: server-sent events, read from its rows until it ends."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.api.bearer import Caller, needs
from ingress.api.campaign_shapes import ProgressShape
from ingress.api.campaigns import Known
from ingress.api.problems import AGAIN_IN, Problem
from ingress.api.reach import Reached
from ingress.api.scopes import TokenScope
from ingress.campaign_progress import OVER, Pace, standing
from ingress.front import Front
from models import ApiToken, Campaign, CampaignStatus
from models.database import AWAY

log = structlog.get_logger()

router = APIRouter(tags=["campaigns"])

EVERY = 1.0
AT_ONCE = 50
"""So many streams has a process at once; each reads the rows once a second."""


class Followers:
    """How many follow a campaign at the moment."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.number = 0


async def _place(request: Request) -> AsyncIterator[None]:
    """Take one of the places for as long as the stream lasts. Raises Problem (503)."""
    followers: Followers = request.app.state.followers
    if followers.number >= AT_ONCE:
        detail = f"{AT_ONCE} streams are open already. Ask again later, or read the campaign itself now and then."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_streams", detail, headers={"Retry-After": AGAIN_IN})
    followers.number += 1
    try:
        yield
    finally:
        followers.number -= 1


@router.get("/campaigns/{campaign_id}/events", response_class=EventSourceResponse, dependencies=[Depends(_place)])
async def follow_campaign(
    front: Reached, caller: Annotated[Caller, Depends(needs(TokenScope.READ))], campaign: Known
) -> AsyncIterator[ServerSentEvent]:
    """Follow a campaign: `progress` once a second while it runs and whenever something changes, and `end` at its end.

    It ends as well when the token is revoked. A comment comes each 15 s when there is nothing else.
    """
    pace, before = Pace(), None
    while True:
        try:
            async with front.context.database.reading() as session:
                row = await session.get_one(Campaign, campaign.id)
                now = await standing(session, row)
                may_see = await _is_good(session, front, caller)
        except AWAY as error:  # a look that fails is only one that comes later
            log.warning("campaign.not_looked_at", error=type(error).__name__)
        else:
            if not may_see:
                return
            told = ProgressShape.of(campaign.id, now, pace.of(now.done, front.now()))
            if _is_over(row):
                yield ServerSentEvent(data=told, event="end")
                return
            if now != before or now.status is CampaignStatus.RUNNING:
                yield ServerSentEvent(data=told, event="progress")
            before = now
        await asyncio.sleep(EVERY)


def _is_over(campaign: Campaign) -> bool:
    """Nothing of it will change any more, unless somebody has it tried again."""
    return campaign.status in OVER and (campaign.finished_at is not None or campaign.status is CampaignStatus.REFUSED)


async def _is_good(session: AsyncSession, front: Front, caller: Caller) -> bool:
    good = select(col(ApiToken.id)).where(
        col(ApiToken.application_id) == front.application_id,
        col(ApiToken.name) == caller.name,
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > front.now()),
    )
    return (await session.execute(good.limit(1))).first() is not None
