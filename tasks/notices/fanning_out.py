"""A notice is due: it is fanned out, one delivery for each endpoint that wants it, if it still holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from celery import shared_task
from sqlalchemy import bindparam, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.brake import Braked
from lifecycle.reminding import ESCALATION, number_after
from models import MOOT, PLANNED, DeliveryData, EndpointData, GrantData, HeldBy, Notice, NoticeData, NoticeKind, Outcome
from models.among import among_given
from models.bulk import read_grants, write_changes
from models.claims import close, postpone, still_ours
from models.kinds import NOTICE_DUE
from models.prepared import Prepared
from tasks.brakes import put_on, room_for
from tasks.claiming import Claim, claimed
from tasks.context import Context
from tasks.notices.at_once import deliveries_of, store_deliveries
from tasks.notices.endpoints import active, can_take, nobody_wants, wants
from tasks.notices.links import put_link
from tasks.notices.ringing import may_be_told, ring_deliveries
from tasks.notices.storing import store
from tasks.telling import escalation, quiet_until, reminder

A_MOMENT = timedelta(seconds=1)


@shared_task(name=NOTICE_DUE)
async def fan_out(ctx: Context, notice_ids: Sequence[UUID]) -> None:
    """Turn notices into deliveries, and plan what follows each reminder, in the same transaction."""
    async with claimed(ctx, NoticeData, notice_ids) as claim:
        if claim.rows:
            await _fan_out(claim)
    await ring_deliveries(ctx)


async def fan_out_few(ctx: Context, most: int) -> tuple[int, Sequence[UUID]]:
    """Do so with those that are due, at most so many, without a ring for them or for what comes of them.

    Returns how many notices they were, and their deliveries.
    """
    async with claimed(ctx, NoticeData, [], others=may_be_told(ctx.application_id), most=most) as claim:
        deliveries = await _fan_out(claim) if claim.rows else []
        return len(claim.rows), [delivery.id for delivery in deliveries]


async def _fan_out(claim: Claim[NoticeData]) -> Sequence[DeliveryData]:
    """Those of a grant in their order, also where not all are written in one transaction."""
    in_order = sorted(claim.rows, key=lambda notice: (notice.grant_id or "", notice.seq))
    parts = claim.ctx.database.parts(in_order)
    return [delivery for part in parts for delivery in await _fan_out_together(claim, part)]


async def _fan_out_together(claim: Claim[NoticeData], rows: Sequence[NoticeData]) -> Sequence[DeliveryData]:
    """The grants are locked before the notices, as whoever writes down what was seen of a grant does."""
    ctx, now = claim.ctx, claim.ctx.now()
    async with ctx.database.writing() as session:
        grants = await read_grants(session, {row.grant_id for row in rows if row.grant_id}, to_change=True)
        notices = await still_ours(session, NoticeData, claim.token, [row.id for row in rows])
        release = Release(
            ctx,
            session,
            now,
            grants,
            await active(session, ctx.application_id),
            await _earlier(session, notices, now=now),
            await room_for(len(notices), session, ctx, Braked.NOTICES, now=now),
        )
        for notice in sorted(notices, key=lambda notice: (notice.grant_id or "", notice.seq)):
            await release.settle(notice)
        await write_changes(session, list(grants.values()))
        await write_changes(session, notices)
        await store_deliveries(session, release.deliveries)
        await store(session, release.planned)
        if release.braked:
            await put_on(ctx, session, Braked.NOTICES, now=now)
    return release.deliveries


async def _earlier(session: AsyncSession, notices: Sequence[NoticeData], *, now: datetime) -> Mapping[str, int]:
    """Read, by grant, the number of the first notice that goes before: others are at it, or failed and try again."""
    given = {
        "grants": [notice.grant_id for notice in notices if notice.grant_id],
        "these": [notice.id for notice in notices],
        "now": now,
    }
    return {str(grant_id): seq for grant_id, seq in await _first_due().rows(session, given)}


@cache
def _first_due() -> Prepared:
    first = select(col(Notice.grant_id), func.min(col(Notice.seq))).where(
        among_given(col(Notice.grant_id), "grants"),
        not_(among_given(col(Notice.id), "these")),
        col(Notice.settled_at).is_(None),
        col(Notice.held_by).is_(None),
        or_(col(Notice.due_at) <= bindparam("now"), col(Notice.kind).not_in(PLANNED)),
    )
    return Prepared(first.group_by(col(Notice.grant_id)))


@dataclass(slots=True)
class Release:
    """What becomes of the notices of one transaction."""

    ctx: Context
    session: AsyncSession
    now: datetime
    grants: Mapping[str, GrantData]
    endpoints: Sequence[EndpointData]
    earlier: Mapping[str, int]
    room: int | None
    """How many more the brake lets go; None where there is no limit."""
    deliveries: list[DeliveryData] = field(default_factory=list)
    planned: list[NoticeData] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)
    braked: bool = False

    async def settle(self, notice: NoticeData) -> None:
        """Fan a notice out, or write down why not."""
        grant = self.grants.get(notice.grant_id or "")
        if reason := no_longer_true(notice, grant):
            close(notice, Outcome.SKIPPED, now=self.now, reason=reason)
            return
        if self._has_to_wait(notice, grant):
            self.waiting.add(notice.grant_id or "")
            return
        wanted_by = [one for one in self.endpoints if wants(one, notice, grant)]
        if notice.grant_id and wanted_by and self.room is not None:
            if self.room == 0:
                notice.held_by, self.braked = HeldBy.BRAKE, True
                self.waiting.add(notice.grant_id)
                postpone(notice, until=notice.due_at, reason="the brake is on: too many notices within an hour")
                return
            self.room -= 1
        if notice.kind is NoticeKind.REAUTH_REQUIRED and grant:
            if wanted_by:
                await put_link(self.ctx, self.session, notice, grant, now=self.now)
            if grant.confirmed_at:
                self.planned.append(self._next(notice, grant))
        self._send(notice, [one for one in wanted_by if can_take(one, notice)])

    def _has_to_wait(self, notice: NoticeData, grant: GrantData | None) -> bool:
        """Let go of a notice whose time has not come after all; say whether that is so."""
        if notice.held_by:
            postpone(notice, until=notice.due_at, reason=f"held: {notice.held_by.value}")
        elif grant and grant.quarantined and notice.kind is not NoticeKind.DELETED:
            notice.held_by = HeldBy.QUARANTINE
            postpone(notice, until=notice.due_at, reason=f"the grant is in quarantine: {grant.quarantined}")
        elif grant and (grant.id in self.waiting or self.earlier.get(grant.id, notice.seq) < notice.seq):
            postpone(notice, until=self.now + A_MOMENT, reason="an earlier notice about this grant goes first")
        elif grant and notice.kind is NoticeKind.REAUTH_REQUIRED and quiet_until(self.ctx, grant, self.now) > self.now:
            postpone(notice, until=quiet_until(self.ctx, grant, self.now), reason="quiet hours of its user")
        else:
            return False
        return True

    def _next(self, notice: NoticeData, grant: GrantData) -> NoticeData:
        """Plan what follows a reminder: the next one, or after the last the word to the operator."""
        assert grant.confirmed_at is not None
        number = number_after(grant.confirmed_at, notice.number, self.now, days=self.ctx.policy.reminder_days)
        if following := reminder(self.ctx, grant, number, now=self.now):
            return following
        last = escalation(self.ctx, grant, now=self.now)
        last.due_at = max(last.due_at, self.now + ESCALATION)
        return last

    def _send(self, notice: NoticeData, endpoints: Sequence[EndpointData]) -> None:
        if not endpoints:
            close(notice, Outcome.SKIPPED, now=self.now, reason=nobody_wants(notice, self.endpoints))
            return
        close(notice, Outcome.DONE, now=self.now)
        self.deliveries += deliveries_of(notice, endpoints, now=self.now)


def no_longer_true(notice: NoticeData, grant: GrantData | None) -> str | None:
    """Say why what a notice tells is not so any more, if that is the case: of expiry only a confirmed one is told.

    A campaign may ask the user of a grant that works: for a scope that is missing, say.
    """
    if notice.kind not in MOOT or grant is None:
        return None
    if notice.campaign_id and grant.status is not GrantStatus.DELETED:
        return None
    if grant.status is not GrantStatus.EXPIRED:
        return f"the grant is {grant.status.value}"
    return None if grant.confirmed_at else "no second look has confirmed it"
