"""Compare with Nylas: import all grants of the application, page by page, and look at those it did not list."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from celery import shared_task
from sqlalchemy import func, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Event, Grant, Outcome
from models.claims import close
from models.kinds import SYNC_REQUESTED
from nylas_api import Answer, NylasError
from tasks.claiming import Claim, each_alone, settle_error
from tasks.context import Context
from tasks.looking import Look, look_at_each, seen
from tasks.recording import Cause, record

PAGE = 200
# When more of what we hold is missing from Nylas' list than this, we are more likely to look at another application.
SURPRISING_SHARE, SURPRISING_NUMBER = 0.1, 20


@dataclass(slots=True)
class SyncReport:
    """What a sync saw and changed; `missing` grants of ours were not in Nylas' list."""

    listed: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0
    left_alone: int = 0


@shared_task(name=SYNC_REQUESTED)
async def sync_grants(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """Run a sync that the schedule or an admin asked for."""
    await each_alone(ctx, Event, event_ids, _sync)


async def _sync(claim: Claim[Event], event: Event) -> None:
    report: SyncReport | NylasError
    try:
        report = await sync(claim.ctx, cause=Cause(event.kind, event_id=event.id))
    except NylasError as error:
        report = error
    async with claim.settling() as (_session, events):
        for row in events:
            match report:
                case SyncReport():
                    told = f"{report.listed} listed, {report.new} new, {report.changed} changed"
                    close(row, Outcome.DONE, now=claim.ctx.now(), reason=told)
                case NylasError():
                    settle_error(claim.ctx, row, report)


async def sync(
    ctx: Context, *, cause: Cause | None = None, progress: Callable[[SyncReport], None] = lambda _: None
) -> SyncReport:
    """Import every grant that Nylas lists; safe to run again, and to break off: each page is one transaction.

    Grants that we hold and Nylas did not list are looked at one by one, unless they are so many that the API key is
    more likely to be another application's: those are left alone, and counted. Raises NylasError.
    """
    cause, report, began = cause or Cause("sync"), SyncReport(), ctx.now()
    async for looks in _pages(ctx):
        await _write(ctx, looks, cause, report)
        report.listed += len(looks)
        progress(report)
    missing = await _not_seen_since(ctx, began)
    report.missing = len(missing)
    held = await _count(ctx)
    if len(missing) > max(SURPRISING_NUMBER, SURPRISING_SHARE * held):
        report.left_alone = len(missing)
        return report
    answers = await look_at_each(ctx, missing)
    await _write(ctx, [look for look in answers.values() if isinstance(look, Look)], cause, report)
    progress(report)
    return report


async def _pages(ctx: Context) -> AsyncIterator[list[Look]]:
    async for page in ctx.nylas.grants.each_page(limit=PAGE):
        looks = []
        for grant in page.data:
            if grant.is_valid is not None:
                looks.append(seen(Answer(grant, page.request_id, page.asked_at)))
        yield looks


async def _write(ctx: Context, looks: list[Look], cause: Cause, report: SyncReport) -> None:
    async with ctx.database.writing() as session:
        written = {look.grant_id: (look, cause) for look in looks}
        changes = (await record(ctx, session, written, now=ctx.now())).changes
    new = sum(change.old_status is None for change in changes.values())
    report.new += new
    report.changed += len(changes) - new


async def _not_seen_since(ctx: Context, moment: datetime) -> list[str]:
    async with ctx.database.reading() as session:
        unseen = select(col(Grant.id)).where(
            col(Grant.application_id) == ctx.application_id,
            col(Grant.status) != GrantStatus.DELETED,
            col(Grant.as_of) < moment,
        )
        return list((await session.scalars(unseen)).all())


async def _count(ctx: Context) -> int:
    async with ctx.database.reading() as session:
        ours = select(func.count()).where(col(Grant.application_id) == ctx.application_id)
        return (await session.scalar(ours)) or 0
