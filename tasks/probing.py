"""While an incident of grants is open one of them is looked at, the canary; when it is well, all of them are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from celery import shared_task
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.incidents import FIRST_PROBE, OF_GRANTS, Scope, is_over
from models import Campaign, CampaignStatus, Grant, Incident
from models.kinds import INCIDENT_PROBE
from nylas_api import NylasError
from tasks.api_key import probe_key
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.planning import write_campaign
from tasks.campaigns.requests import CampaignRequest
from tasks.campaigns.ways import renew
from tasks.claiming import Claim, each_alone
from tasks.connectors import known_connectors
from tasks.context import Context
from tasks.holding import let_go
from tasks.incidents import close_incident, its_grants, tally
from tasks.looking import Look, look_at
from tasks.recording import Cause, record
from tasks.silence import watch_webhooks
from tasks.watching import watch_on

LOOKS_AT_ONCE = 5_000
LOOKS_A_TRANSACTION = 200
PATIENCE = timedelta(minutes=10)
UNDER_WAY = (CampaignStatus.PLANNED, CampaignStatus.RUNNING, CampaignStatus.PAUSED)
AT_ONCE = timedelta()


@shared_task(name=INCIDENT_PROBE)
async def probe(ctx: Context, incident_ids: Sequence[UUID]) -> None:
    """Look whether incidents are over."""
    await each_alone(ctx, Incident, incident_ids, _probe)


async def _probe(claim: Claim[Incident], incident: Incident) -> None:
    if incident.scope is Scope.KEY:
        await probe_key(claim)
    elif incident.scope is Scope.WEBHOOK:
        await watch_webhooks(claim, incident)
    elif incident.scope not in OF_GRANTS:
        await watch_on(claim, "it is closed by a human, or by what goes on")
    elif incident.until is None:
        await _look_at_canary(claim, incident)
    else:
        await _look_at_all(claim, incident, incident.until)


async def _look_at_canary(claim: Claim[Incident], incident: Incident) -> None:
    ctx = claim.ctx
    async with ctx.database.reading() as session:
        canary = await _canary(ctx, session, incident)
    if canary is None:  # none of them is left
        await _look_at_all(claim, incident, await _mark(claim, None))
        return
    look = await look_at(ctx, canary.id)
    if isinstance(look, NylasError):
        await watch_on(claim, str(look), request_id=look.request_id, canary=canary.id)
        return
    await _record(ctx, [look])
    match look.observation.status:
        case GrantStatus.VALID:
            await _look_at_all(claim, incident, await _mark(claim, canary.id))
        case GrantStatus.DELETED:
            await watch_on(claim, "its canary was deleted: another one is next", wait=AT_ONCE, canary=None)
        case _:
            await _renew_canary(claim, canary)


async def _canary(ctx: Context, session: AsyncSession, incident: Incident) -> Grant | None:
    """Return the canary, or choose one; of those that are still expired, the one that failed last."""
    if incident.canary:
        grant = await session.get(Grant, incident.canary)
        if grant and grant.status is not GrantStatus.DELETED:
            return grant
    failing = select(Grant).where(its_grants(ctx, incident)).order_by(col(Grant.expiry_seen_at).desc(), col(Grant.id))
    return (await session.scalars(failing.limit(1))).one_or_none()


async def _renew_canary(claim: Claim[Incident], canary: Grant) -> None:
    """Try to renew a grant of a credential, since Nylas doesn't say that one recovers when its secret was replaced.

    If that goes, all are renewed so, by a campaign; the incident stays open until that has finished.
    """
    ctx = claim.ctx
    async with ctx.database.reading() as session:
        connectors = await known_connectors(ctx, session)
    renewed = await renew(ctx, canary, connectors)
    if not (isinstance(renewed, Look) and renewed.grant_id == canary.id):
        why = f" and can't be renewed: {renewed}" if isinstance(renewed, NylasError) else ""
        await watch_on(claim, f"its canary is still invalid{why}", canary=canary.id, probed_at=ctx.now())
        return
    await _record(ctx, [renewed])
    until = ctx.now()
    async with claim.settling() as (session, incidents):
        for incident in incidents:
            incident.until, incident.canary, incident.probed_at = until, canary.id, until
            id = campaign_of(incident.id, until)
            request = CampaignRequest(filter=_others(incident))
            await write_campaign(session, ctx, request, source="incident", actor=None, now=until, id=id)
    await watch_on(claim, "its canary was renewed by its credential: the others are next", wait=FIRST_PROBE)


def campaign_of(incident_id: UUID, well_since: datetime) -> UUID:
    """Make the id of the campaign that an incident starts when its canary was renewed at that time."""
    return uuid5(incident_id, well_since.isoformat())


def _others(incident: Incident) -> GrantFilter:
    return GrantFilter(
        provider=incident.subject if incident.scope is Scope.CONNECTOR else None,
        credential_id=incident.subject if incident.scope is Scope.CREDENTIAL else None,
        status=GrantStatus.EXPIRED,
        expired_since=incident.since,
    )


async def _mark(claim: Claim[Incident], canary: str | None) -> datetime:
    """Write down since when the canary has been well: what was seen of the others before then is to be seen again."""
    now = claim.ctx.now()
    async with claim.settling() as (_session, incidents):
        for incident in incidents:
            incident.until, incident.canary, incident.probed_at = now, canary, now
    return now


async def _look_at_all(claim: Claim[Incident], incident: Incident, well_since: datetime) -> None:
    """Look at its grants again, so many at a time; then it is over, or another canary is looked at."""
    ctx = claim.ctx
    left = its_grants(ctx, incident) & (col(Grant.as_of) < well_since)
    async with ctx.database.reading() as session:
        campaign = await session.get(Campaign, campaign_of(incident.id, well_since))
        wanted = select(col(Grant.id)).where(left).order_by(col(Grant.id)).limit(LOOKS_AT_ONCE)
        ids = (await session.scalars(wanted)).all()
    if campaign and campaign.status in UNDER_WAY:
        await watch_on(claim, f"its grants are being renewed by campaign {campaign.id}", wait=FIRST_PROBE)
        return
    if ids:
        looks = await ctx.look_at_many(ids)
        await _record(ctx, [look for look in looks.values() if isinstance(look, Look)])
        async with ctx.database.reading() as session:
            unseen = await session.scalar(select(func.count()).where(left)) or 0
        failed = [look for look in looks.values() if isinstance(look, NylasError)]
        if unseen and (unseen > len(failed) or ctx.now() - well_since < PATIENCE):
            why = f": {failed[0]}" if failed else ""
            wait = FIRST_PROBE if failed else AT_ONCE
            await watch_on(claim, f"its canary is well, and {unseen} grants are to be looked at again{why}", wait=wait)
            return
    await _decide(claim, well_since)


async def _decide(claim: Claim[Incident], well_since: datetime) -> None:
    """Close an incident that is over: tell what is still so; what could not be seen is told only after another look."""
    ctx, now, [incident] = claim.ctx, claim.ctx.now(), claim.rows
    async with ctx.database.reading() as session:
        counted = await tally(session, incident)
        other = select(col(Grant.id)).where(its_grants(ctx, incident)).order_by(func.random()).limit(1)
        another = await session.scalar(other)
    well = f"{counted.recovered} of {counted.grants} grants work again"
    if another and not is_over(counted.recovered, counted.grants):
        await watch_on(claim, f"only {well}: it goes on, with another canary", canary=another, until=None)
        return
    is_closed = False
    while not is_closed:
        async with claim.settling() as (session, incidents):
            is_closed = not incidents  # a human was quicker
            for row in incidents:
                if is_closed := await let_go(ctx, session, row, sure_since=well_since, now=now):
                    await close_incident(session, row, well, now=now)


async def _record(ctx: Context, looks: Sequence[Look]) -> None:
    """Write down what was seen, apart from the incident: who records locks the grants before the incident."""
    cause = Cause(INCIDENT_PROBE)
    for start in range(0, len(looks), LOOKS_A_TRANSACTION):
        some = {look.grant_id: (look, cause) for look in looks[start : start + LOOKS_A_TRANSACTION]}
        async with ctx.database.writing() as session:
            await record(ctx, session, some)
