"""Nylas says that something happened to a grant: look for ourselves, and write down what we see."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from uuid import UUID

from celery import shared_task
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Event, EventData, Grant, Outcome, TransitionData
from models.among import among_given
from models.claims import close, postpone
from models.kinds import GRANT_CREATED, GRANT_DELETED, GRANT_EXPIRED, GRANT_RECHECK, GRANT_REPORTED, GRANT_UPDATED
from models.prepared import Prepared
from nylas_api import NylasError, Transient
from tasks.brakes import BRAKED
from tasks.claiming import Claim, claimed, settle_error
from tasks.context import Context
from tasks.holding import hold_covered
from tasks.looking import Look
from tasks.observing import Seen
from tasks.recording import Cause, in_words, record, suspect

PARKED_FOR = timedelta(minutes=10)
BRAKED_FOR = timedelta(minutes=10)


@shared_task(name=GRANT_CREATED)
async def look_at_created(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """A grant was made. It can come after `grant.updated`, or for a grant that is gone again."""
    await look_again(ctx, GRANT_CREATED, event_ids)


@shared_task(name=GRANT_UPDATED)
async def look_at_updated(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """A grant was changed, or its user signed in again."""
    await look_again(ctx, GRANT_UPDATED, event_ids)


@shared_task(name=GRANT_EXPIRED)
async def confirm_expiry(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """A grant stopped working, says the hint; it may come late, or after the user has signed in again."""
    await look_again(ctx, GRANT_EXPIRED, event_ids, says_it_died=True)


@shared_task(name=GRANT_DELETED)
async def confirm_deletion(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """A grant was deleted, says the hint; only Nylas' 404 makes it so."""
    await look_again(ctx, GRANT_DELETED, event_ids)


@shared_task(name=GRANT_RECHECK)
async def look_twice(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """The grace is over: a second look at a grant that Nylas said was invalid, before anybody is told.

    Nylas is not asked about one that an open incident explains: that looks after it.
    """
    async with claimed(ctx, EventData, event_ids, others=_alike(ctx.application_id, GRANT_RECHECK)) as claim:
        async with claim.settling() as (session, events):
            covered = await hold_covered(ctx, session, {event.grant_id for event in events if event.grant_id})
            for event in events:
                if incident := covered.get(event.grant_id or ""):
                    close(event, Outcome.IGNORED, now=ctx.now(), reason=f"it waits for an incident: {incident.what}")
        await _look(claim, [event for event in claim.rows if event.grant_id not in covered])


@shared_task(name=GRANT_REPORTED)
async def look_at_reported(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """The product saw a grant fail."""
    await look_again(ctx, GRANT_REPORTED, event_ids, says_it_died=True)


async def look_again(ctx: Context, kind: str, event_ids: Sequence[UUID], *, says_it_died: bool = False) -> None:
    """Look at each grant that the events name, once, and settle all of them by what Nylas says now.

    Others of the kind that are due come with them. A hint is only a reason to look, so late, doubled and reordered
    ones do no harm. When Nylas can't be asked, the events stay due, and a grant that is said to have died is suspect
    until it can.
    """
    async with claimed(ctx, EventData, event_ids, others=_alike(ctx.application_id, kind)) as claim:
        await _look(claim, claim.rows, says_it_died=says_it_died)


@lru_cache(64)
def _alike(application_id: UUID, kind: str) -> ColumnElement[bool]:
    return (col(Event.application_id) == application_id) & (col(Event.kind) == kind)


async def _look(claim: Claim[EventData], rows: Sequence[EventData], *, says_it_died: bool = False) -> None:
    ctx = claim.ctx
    looks = await ctx.look_at_many(event.grant_id for event in rows if event.grant_id)
    for part in ctx.database.parts(rows):
        await _write_down(claim, part, looks, says_it_died=says_it_died)


async def _write_down(
    claim: Claim[EventData], rows: Sequence[EventData], looks: Mapping[str, Seen], *, says_it_died: bool
) -> None:
    """Settle events by what their looks showed."""
    ctx = claim.ctx
    async with claim.settling_together(rows) as (session, events):
        now = ctx.now()
        first: dict[str, EventData] = {}
        for event in events:
            first.setdefault(event.grant_id or "", event)
        seen: dict[str, tuple[Look, Cause]] = {}
        doubted = {}
        for grant_id, event in first.items():
            cause = Cause(event.kind, event_id=event.id, expired_at=expired_at(event))
            match looks.get(grant_id):
                case Look() as look:
                    seen[grant_id] = look, cause
                case Transient() if says_it_died:
                    doubted[grant_id] = event.occurred_at or event.received_at, cause
        recorded = await record(ctx, session, seen)
        doubted |= {grant_id: (now, seen[grant_id][1]) for grant_id in recorded.braked}
        await suspect(ctx, session, doubted)
        strangers = await _unknown(session, [look for look, _ in seen.values() if look.record is None])
        for event in events:
            if event.grant_id in recorded.braked:
                postpone(event, until=now + BRAKED_FOR, reason=f"{BRAKED}: too many grants expired")
            elif event.grant_id in strangers:
                _park(ctx, event, seen[event.grant_id][0])
            else:
                _settle(ctx, event, looks.get(event.grant_id or ""), recorded.changes.get(event.grant_id or ""))


async def _unknown(session: AsyncSession, gone: Sequence[Look]) -> set[str]:
    """Return which of the grants that Nylas has no record of we have none of either."""
    if not gone:
        return set()
    ids = {look.grant_id for look in gone}
    return ids - set(await _known().firsts(session, {"ids": list(ids)}))


@cache
def _known() -> Prepared:
    return Prepared(select(col(Grant.id)).where(among_given(col(Grant.id), "ids")))


def _park(ctx: Context, event: EventData, look: Look) -> None:
    """Nobody knows the grant: look again for a while, since Nylas' own records may lag behind what it tells.

    A deletion is no news of a grant that was not ours.
    """
    now, until = ctx.now(), event.received_at + PARKED_FOR
    if event.kind != GRANT_DELETED and now < until:
        due = min(now + ctx.backoff(event.attempts), until)
        postpone(event, until=due, reason="neither Nylas nor we know this grant, yet", request_id=look.request_id)
    else:
        reason = "neither Nylas nor we know this grant"
        close(event, Outcome.IGNORED, now=now, reason=reason, request_id=look.request_id)


def expired_at(event: EventData) -> datetime | None:
    """Read when a grant worked last, by its `grant.expired` notification (`grant_updated_at`, unix seconds)."""
    try:
        told = json.loads(event.raw)["data"]["object"]["grant_updated_at"]
        return datetime.fromtimestamp(told, UTC)
    except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
        return None


def _settle(ctx: Context, event: EventData, look: Look | NylasError | None, change: TransitionData | None) -> None:
    now = ctx.now()
    match look:
        case Look():
            own = change if change and change.event_id == event.id else None
            close(event, Outcome.DONE, now=now, reason=in_words(own, look), request_id=look.request_id)
        case NylasError() as error:
            settle_error(ctx, event, error)
        case None:
            close(event, Outcome.SET_ASIDE, now=now, reason="it names no grant")
