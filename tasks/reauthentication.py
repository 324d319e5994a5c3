"""The items of a campaign: re-authenticate each grant at Nylas, and write each result as it comes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from celery import shared_task
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import CampaignItem, Grant, KnownConnector, Outcome
from models.claims import close
from models.inbox import receive, told
from models.kinds import GRANT_REPORTED, REAUTH_REQUESTED
from nylas_api import BulkGrant, NylasError, Rejected
from tasks.bulk_reauth import finish_if_done, ring_next
from tasks.claiming import Claim, claimed, settle_error
from tasks.connectors import known_connectors
from tasks.context import Context
from tasks.looking import Look, seen
from tasks.recording import Cause, record, suspect

# What OAuth (RFC 6749, OpenID Connect) calls a permission that has ended.
REFUSALS = ("invalid_grant", "access_denied", "consent_required", "interaction_required", "login_required")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing was asked of Nylas, and why."""

    reason: str


Result = Look | Skipped | NylasError


@shared_task(name=REAUTH_REQUESTED)
async def reauthenticate(ctx: Context, item_ids: Sequence[UUID]) -> None:
    """Re-authenticate a chunk of a campaign's grants, side by side.

    A process that works on enough chunks already lets this one go before it claims anything: the rows stay due, and
    each chunk that ends rings for the next.
    """
    if ctx.bulk.locked():
        return
    async with ctx.bulk, claimed(ctx, CampaignItem, item_ids) as claim:
        if not claim.rows:
            return
        async with ctx.database.reading() as session:
            wanted = select(Grant).where(col(Grant.id).in_([item.grant_id for item in claim.rows]))
            grants = {grant.id: grant for grant in await session.scalars(wanted)}
            connectors = await known_connectors(ctx, session)
        results: asyncio.Queue[tuple[CampaignItem, Result]] = asyncio.Queue()

        async def ask(item: CampaignItem) -> None:
            results.put_nowait((item, await renew(ctx, grants[item.grant_id], connectors)))

        async with asyncio.TaskGroup() as group:
            group.create_task(_settle_as_they_come(claim, results))
            for item in claim.rows:
                group.create_task(ask(item))
    for campaign_id in {item.campaign_id for item in claim.rows}:
        await ring_next(ctx, campaign_id)
        await finish_if_done(ctx, campaign_id)


async def renew(ctx: Context, grant: Grant, connectors: Mapping[str, KnownConnector]) -> Result:
    """Ask Nylas to authenticate the mailbox anew: by its rule of one grant per email that renews this grant.

    Source: Nylas "Bulk authentication grants": one POST /v3/connect/custom for each mailbox.
    """
    if grant.status is GrantStatus.DELETED:
        return Skipped("the grant was deleted")
    if not grant.credential_id:
        return Skipped("it has no credential: only its user can sign in again")
    connector = connectors.get(grant.provider)
    if connector and grant.credential_id == connector.active_credential_id:
        return Skipped("its credential is the connector's own OAuth client: only its user can sign in again")
    if not grant.email:
        return Skipped("Nylas told no email address for it")
    settings = BulkGrant(email_address=grant.email, credential_id=grant.credential_id)
    try:
        answer = await ctx.nylas.auth.custom(provider=grant.provider, settings=settings)
        return seen(answer, just_authenticated=True)
    except NylasError as error:
        return error
    except ValueError as error:  # another provider's credential
        return Skipped(str(error))


async def _settle_as_they_come(claim: Claim[CampaignItem], results: asyncio.Queue[tuple[CampaignItem, Result]]) -> None:
    """Commit what has come since the last commit, again and again: little is asked twice if we die."""
    left = len(claim.rows)
    while left:
        batch = [await results.get()]
        while not results.empty():
            batch.append(results.get_nowait())
        left -= len(batch)
        await _settle(claim, {item.id: result for item, result in batch})


async def _settle(claim: Claim[CampaignItem], results: dict[UUID, Result]) -> None:
    ctx, now = claim.ctx, claim.ctx.now()
    rows = [item for item in claim.rows if item.id in results]
    refused: dict[str, tuple[datetime, Cause]] = {}
    async with claim.settling(rows) as (session, items):
        looks: dict[str, tuple[Look, Cause]] = {}
        for item in items:
            match results[item.id]:
                case Look() as look if look.grant_id == item.grant_id:
                    looks[look.grant_id] = look, Cause(REAUTH_REQUESTED, item_id=item.id)
                    close(item, Outcome.DONE, now=now, request_id=look.request_id)
                case Look() as look:
                    other = f"Nylas answered with another grant ({look.grant_id}) for this mailbox"
                    close(item, Outcome.FAILED, now=now, reason=other, request_id=look.request_id)
                case Skipped(reason):
                    close(item, Outcome.SKIPPED, now=now, reason=reason)
                case NylasError() as error:
                    settle_error(ctx, item, error)
                    if is_refusal(error):
                        refused[item.grant_id] = now, Cause(REAUTH_REQUESTED, item_id=item.id)
        await record(ctx, session, looks, now=now)
        new = await _doubt(ctx, session, refused, now=now)
    ctx.ring(GRANT_REPORTED, list(new))


def is_refusal(error: NylasError) -> bool:
    """Tell whether it was the provider that refused this mailbox: a hint that its grant is dead, if it was alive."""
    return isinstance(error, Rejected) and any(word in (error.provider_error or "") for word in REFUSALS)


async def _doubt(
    ctx: Context, session: AsyncSession, refused: Mapping[str, tuple[datetime, Cause]], *, now: datetime
) -> set[UUID]:
    """Suspect those of the grants that were valid, and have them looked at; return the events that ask for it."""
    doubted = await suspect(session, refused, now=now)
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
