"""What came of the items of a chunk is written, with what it says of the grants, in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import CampaignItem, CampaignItemData, CampaignStatus, Outcome, Way
from models.bulk import write_changes
from models.claims import close, postpone
from models.inbox import receive, told
from models.kinds import GRANT_REPORTED, REAUTH_REQUESTED
from nylas_api import NylasError, Rejected, Withheld
from tasks.campaigns.asking import ask_users
from tasks.campaigns.choice import Skipped
from tasks.campaigns.following import Following
from tasks.claiming import Claim, settle_error
from tasks.context import Context
from tasks.looking import Look
from tasks.recording import Cause, record, suspect

Result = Look | Skipped | NylasError | Way
"""Of ways only HOSTED: the user is asked."""

# What OAuth (RFC 6749, OpenID Connect) calls a permission that has ended.
REFUSALS = ("invalid_grant", "access_denied", "consent_required", "interaction_required", "login_required")


async def settle(claim: Claim[CampaignItemData], results: Mapping[UUID, Result], following: Following) -> set[UUID]:
    """Write the results; return the events that ask for a look at grants whose provider refused them."""
    ctx, now = claim.ctx, claim.ctx.now()
    rows = [item for item in claim.rows if item.id in results]
    refused: dict[str, tuple[datetime, Cause]] = {}
    looks: dict[str, tuple[Look, Cause]] = {}
    asked, made = list[CampaignItemData](), list[tuple[CampaignItemData, str]]()
    async with claim.settling_together(rows) as (session, items):
        for item in items:
            match results[item.id]:
                case Look() as look if item.grant_id in (None, look.grant_id):
                    looks[look.grant_id] = look, Cause(REAUTH_REQUESTED, item_id=item.id)
                    close(item, Outcome.DONE, now=now, request_id=look.request_id)
                    made += [(item, look.grant_id)] if item.grant_id is None else []
                case Look() as look:
                    other = f"Nylas answered with another grant ({look.grant_id}) for this mailbox"
                    item.cause = "another grant answered"
                    close(item, Outcome.FAILED, now=now, reason=other, request_id=look.request_id)
                case Skipped(reason):
                    close(item, Outcome.SKIPPED, now=now, reason=reason)
                case Withheld():
                    _let_go(item, following, now)
                case NylasError() as error:
                    item.cause = cause_of(error)
                    settle_error(ctx, item, error)
                    if is_refusal(error) and item.grant_id:
                        refused[item.grant_id] = now, Cause(REAUTH_REQUESTED, item_id=item.id)
                case Way():
                    asked.append(item)
            if item.outcome is Outcome.DONE:
                item.cause = None
            if item.outcome in (Outcome.DONE, Outcome.SKIPPED, Outcome.CANCELLED):
                item.secret = None
        await record(ctx, session, looks)
        await _name_the_made(session, made)
        if asked:
            await ask_users(ctx, session, asked, now=now)
        return await _doubt(ctx, session, refused, now=now)


def _let_go(item: CampaignItemData, following: Following, now: datetime) -> None:
    """It was not asked for: its campaign waits, or was given up, or its worker slept past its lease."""
    if following.status(item.campaign_id) is CampaignStatus.CANCELLED:
        close(item, Outcome.CANCELLED, now=now, reason="the campaign was cancelled")
        return
    item.attempts -= 1
    slept = following.runs(item.campaign_id)
    postpone(item, until=now, reason="its worker slept past its lease" if slept else "its campaign waits")


async def _name_the_made(session: AsyncSession, made: Sequence[tuple[CampaignItemData, str]]) -> None:
    """Name the grants that items without one have made, or found to be there already."""
    for item, grant_id in made:
        twin = select(col(CampaignItem.id)).where(
            col(CampaignItem.campaign_id) == item.campaign_id, col(CampaignItem.grant_id) == grant_id
        )
        if (await session.execute(twin.limit(1))).first() is None:
            item.grant_id = grant_id
            await write_changes(session, [item])
        else:
            item.reason = f"it is grant {grant_id}, which another item of this campaign is for as well"


def cause_of(error: NylasError) -> str:
    """Return what failures are counted by: the provider's word, Nylas' type, or the kind of trouble."""
    return (error.provider_error or error.type or type(error).__name__)[:128]


def is_refusal(error: NylasError) -> bool:
    """Tell whether it was the provider that refused this mailbox: a hint that its grant is dead, if it was alive."""
    return isinstance(error, Rejected) and any(word in (error.provider_error or "") for word in REFUSALS)


async def _doubt(
    ctx: Context, session: AsyncSession, refused: Mapping[str, tuple[datetime, Cause]], *, now: datetime
) -> set[UUID]:
    """Suspect those of the grants that were valid, and have them looked at; return the events that ask for it."""
    doubted = await suspect(ctx, session, refused)
    hints = [
        told(
            GRANT_REPORTED,
            f"reauth:{refused[grant_id][1].item_id}",
            application_id=ctx.application_id,
            source="reauth",
            now=now,
            grant_id=grant_id,
            occurred_at=now,
        )
        for grant_id in doubted
    ]
    return await receive(session, hints)
