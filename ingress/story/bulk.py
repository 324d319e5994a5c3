"""What was done to a grant together with others, in the story: campaigns and retirements."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.story.events import ACTORS
from ingress.story.line import Line, What, because
from models import Campaign, CampaignItem, Grant, Outcome, Retirement, RetirementItem, RetirementStatus

ADMIN = "an admin"


async def campaigns(session: AsyncSession, grant: Grant) -> list[Line]:
    """Tell of the campaigns that the grant is in."""
    wanted = (
        select(CampaignItem, Campaign)
        .join(Campaign, col(CampaignItem.campaign_id) == col(Campaign.id))
        .where(col(CampaignItem.grant_id) == grant.id)
    )
    found = (await session.execute(wanted)).all()
    return [
        line
        for item, campaign in found
        for line in _item(item, campaign, campaign.actor or ACTORS.get(campaign.source, campaign.source))
    ]


def _item(item: CampaignItem, campaign: Campaign, actor: str) -> Iterator[Line]:
    name = f"re-authentication in campaign {campaign.id}"
    yield Line(campaign.created_at, What.CAMPAIGN, actor, f"{name} was asked for", str(item.id))
    if item.settled_at and item.outcome:
        what = f"{name}: {item.outcome.value}" + (f" ({item.reason})" if item.reason else "")
        yield Line(item.settled_at, What.CAMPAIGN, "Evergrant", what, str(item.id), request_id=item.request_id)
    elif item.reason:
        what = f"{name} is due again then{because(item.reason)}"
        yield Line(item.due_at, What.CAMPAIGN, "Evergrant", what, str(item.id), request_id=item.request_id)


async def retirements(session: AsyncSession, grant: Grant) -> list[Line]:
    """Tell of the plans to delete the grant."""
    wanted = (
        select(RetirementItem, Retirement)
        .join(Retirement, col(RetirementItem.retirement_id) == col(Retirement.id))
        .where(col(RetirementItem.grant_id) == grant.id)
    )
    return [line for item, plan in await session.execute(wanted) for line in _retired(item, plan)]


def _retired(item: RetirementItem, plan: Retirement) -> Iterator[Line]:
    of, name = str(item.id), f"retirement plan {plan.id}"
    yield Line(plan.created_at, What.RETIREMENT, ADMIN, f"{name} proposes to delete it at Nylas", of)
    if plan.approved_at:
        yield Line(plan.approved_at, What.RETIREMENT, plan.approved_by or ADMIN, f"{name} was approved", of)
    if item.sent_at:
        yield Line(item.sent_at, What.RETIREMENT, "Evergrant", "its deletion was sent to Nylas", of)
    if item.settled_at and item.outcome:
        end = "it was deleted at Nylas" if item.outcome is Outcome.DONE else "it was not deleted"
        what = f"{end} by {name}{because(item.reason)}"
        yield Line(item.settled_at, What.RETIREMENT, "Evergrant", what, of, request_id=item.request_id)
    elif plan.status is RetirementStatus.CANCELLED:
        at = plan.finished_at or plan.created_at
        yield Line(at, What.RETIREMENT, ADMIN, f"{name} was dropped", of)
