"""Compare with Nylas: all grants of the application, page by page, and a look at those that it did not list."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import Application, Event, Grant, Outcome
from models.among import among
from models.claims import close, postpone
from models.kinds import SYNC_REQUESTED
from nylas_api import Answer, KeyRejected, NylasError
from tasks.claiming import Claim, each_alone, settle_error
from tasks.connectors import read_connectors
from tasks.context import Context
from tasks.looking import Look, look_at_each, seen
from tasks.recording import Cause, record
from tasks.silence import listen
from tasks.unchanged import note_unchanged
from tasks.ways import PAGE

# When more of what we hold is missing from Nylas' list than this, we are more likely to look at another application.
SURPRISING_SHARE, SURPRISING_NUMBER = 0.1, 20
LOOKS_AT_ONCE = 50
ANOTHER_RUNS = timedelta(minutes=1)


@dataclass(slots=True)
class SyncReport:
    """What a sync saw and put right: how far we had drifted from Nylas.

    `new` grants were unknown here, `gone` ones are no more there, `changed` ones stood otherwise. `missing` are those
    of ours that Nylas did not list; of them, `left_alone` were not looked at and `unanswered` could not be. `braked`
    are those that the brake keeps from being written as expired. `missed` counts what webhooks should have told.
    """

    listed: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    missing: int = 0
    left_alone: int = 0
    unanswered: int = 0
    braked: int = 0
    missed: int = 0

    def in_words(self) -> str:
        """`450 listed, 1 new here, 2 changed, 1 gone there`; what is zero beyond that is not mentioned."""
        words = [f"{self.listed} listed", f"{self.new} new here", f"{self.changed} changed", f"{self.gone} gone there"]
        more = {
            "not listed and left as they are": self.left_alone,
            "not listed and not to be had by themselves": self.unanswered,
            "kept as they are by the brake": self.braked,
            "never told of by webhooks": self.missed,
        }
        return ", ".join(words + [f"{number} {what}" for what, number in more.items() if number])


@shared_task(name=SYNC_REQUESTED)
async def sync_grants(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """Run a sync that the schedule or an admin asked for. One that dies starts anew."""
    await each_alone(ctx, Event, event_ids, _sync)


async def _sync(claim: Claim[Event], event: Event) -> None:
    ctx = claim.ctx
    if await _another_runs(ctx, event):
        async with claim.settling() as (_session, events):
            for row in events:
                if row.source == "schedule":
                    close(row, Outcome.SKIPPED, now=ctx.now(), reason="an earlier sync was still running")
                else:
                    postpone(row, until=ctx.now() + ANOTHER_RUNS, reason="an earlier sync is still running")
        return
    report: SyncReport | NylasError
    try:
        report = await sync(ctx, cause=Cause(event.kind, event_id=event.id))
    except NylasError as error:
        report = error
    async with claim.settling() as (_session, events):
        for row in events:
            match report:
                case SyncReport():
                    close(row, Outcome.DONE, now=ctx.now(), reason=report.in_words())
                case NylasError():
                    settle_error(ctx, row, report)


async def _another_runs(ctx: Context, event: Event) -> bool:
    earlier = select(col(Event.id)).where(
        col(Event.kind) == SYNC_REQUESTED,
        col(Event.application_id) == ctx.application_id,
        col(Event.settled_at).is_(None),
        col(Event.lease_until) > ctx.now(),
        col(Event.id) < event.id,
    )
    async with ctx.database.reading() as session:
        return (await session.execute(earlier.limit(1))).first() is not None


async def sync(
    ctx: Context, *, cause: Cause | None = None, progress: Callable[[SyncReport], None] = lambda _: None
) -> SyncReport:
    """Compare every grant that Nylas lists with ours; safe to run again, and to break off: each page is a transaction.

    Of the first sync that comes to its end nobody is told: it imports what had been so before. Grants that we hold
    and Nylas did not list are looked at one by one, unless they are so many that the API key is more likely to be
    another application's: those are left alone, and counted. Raises NylasError.
    """
    report, began = SyncReport(), ctx.now()
    walk = Walk(ctx, cause or Cause("sync"), report, importing=not await _was_imported(ctx))
    await read_connectors(ctx)
    async for looks in _pages(ctx):
        await walk.write(looks)
        report.listed += len(looks)
        progress(report)
    await _look_for_missing(walk, began)
    progress(report)
    if walk.importing:
        await _note_import(ctx)
    else:
        report.missed = await listen(ctx, began)
    return report


@dataclass(slots=True)
class Walk:
    """A sync on its way; it keeps nothing of the pages but the report."""

    ctx: Context
    cause: Cause
    report: SyncReport
    importing: bool

    async def write(self, looks: Sequence[Look]) -> None:
        """Write down what a page showed."""
        for part in self.ctx.database.parts(looks):
            await self._write(part)

    async def _write(self, looks: Sequence[Look]) -> None:
        ctx, report = self.ctx, self.report
        async with ctx.database.writing() as session:
            unchanged = await note_unchanged(session, looks)
            rest = {look.grant_id: look for look in looks if look.grant_id not in unchanged}
            if not rest:
                return
            causes = await self._causes(session, rest)
            written = {grant_id: (look, causes[grant_id]) for grant_id, look in rest.items()}
            recorded = await record(ctx, session, written)
        report.braked += len(recorded.braked)
        for change in recorded.changes.values():
            if change.old_status is None:
                report.new += 1
            elif change.new_status is GrantStatus.DELETED:
                report.gone += 1
            else:
                report.changed += 1

    async def _causes(self, session: AsyncSession, looks: dict[str, Look]) -> dict[str, Cause]:
        """Only what a first import finds new is old news: a grant that a webhook told of is known by then."""
        if not self.importing:
            return dict.fromkeys(looks, self.cause)
        known = set(await session.scalars(select(col(Grant.id)).where(among(col(Grant.id), looks))))
        quiet = Cause(self.cause.kind, self.cause.event_id, importing=True)
        return {grant_id: self.cause if grant_id in known else quiet for grant_id in looks}


async def _pages(ctx: Context) -> AsyncIterator[list[Look]]:
    async for page in ctx.nylas.grants.each_page(limit=PAGE, distinct=False):
        yield [seen(Answer(grant, page.request_id, page.asked_at)) for grant in page.data if grant.is_valid is not None]


async def _look_for_missing(walk: Walk, began: datetime) -> None:
    """Look at what we hold and Nylas did not list, so many at a time."""
    ctx, report = walk.ctx, walk.report
    if report.braked:  # some were listed, and not written
        return
    ours = (col(Grant.application_id) == ctx.application_id) & (col(Grant.status) != GrantStatus.DELETED)
    unseen = ours & (col(Grant.as_of) < began)
    async with ctx.database.reading() as session:
        report.missing = await _count(session, unseen)
        held = await _count(session, ours)
    if report.missing > max(SURPRISING_NUMBER, SURPRISING_SHARE * held):
        report.left_alone = report.missing
        return
    after = ""
    while report.missing:
        async with ctx.database.reading() as session:
            part = select(col(Grant.id)).where(unseen, col(Grant.id) > after).order_by(col(Grant.id))
            ids = (await session.scalars(part.limit(LOOKS_AT_ONCE))).all()
        if not ids:
            return
        answers = (await look_at_each(ctx, ids)).values()
        if refusal := next((answer for answer in answers if isinstance(answer, KeyRejected)), None):
            raise refusal
        looks = [answer for answer in answers if isinstance(answer, Look)]
        report.unanswered += len(answers) - len(looks)
        await walk.write(looks)
        after = ids[-1]


async def _count(session: AsyncSession, which: ColumnElement[bool]) -> int:
    return (await session.scalar(select(func.count()).select_from(Grant).where(which))) or 0


async def _was_imported(ctx: Context) -> bool:
    async with ctx.database.reading() as session:
        return (await session.get_one(Application, ctx.application_id)).imported_at is not None


async def _note_import(ctx: Context) -> None:
    first = update(Application).where(col(Application.id) == ctx.application_id, col(Application.imported_at).is_(None))
    async with ctx.database.writing() as session:
        await session.execute(first.values(imported_at=ctx.now()))
