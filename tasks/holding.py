"""The notices that incidents hold back: handed to them, and given back to their usual course when they are over."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from models import MOOT, Grant, GrantData, HeldBy, Incident, Notice, Outcome
from models.among import among, among_given
from models.inbox import receive
from models.prepared import Prepared
from tasks.context import Context
from tasks.incidents import covering, holds, open_ones_of_grants
from tasks.telling import second_look

AT_ONCE = 1_000


async def hold_covered(ctx: Context, session: AsyncSession, grant_ids: Collection[str]) -> Mapping[str, Incident]:
    """Hand the notices about those of the grants that an open incident explains to it; return which incident that is.

    The incidents stay open until this transaction ends.
    """
    incidents = await open_ones_of_grants(session, ctx)
    if not incidents:
        return {}
    covered: dict[str, Incident] = {}
    for grant in await session.scalars(select(Grant).where(among(col(Grant.id), grant_ids))):
        if incident := covering(incidents, grant):
            covered[grant.id] = incident
    for incident in incidents:
        ids = [grant_id for grant_id, of in covered.items() if of is incident]
        held = _of(ids) & (col(Notice.held_by) == HeldBy.CONFIRMATION)
        hold = update(Notice).where(held).values(held_by=HeldBy.INCIDENT, incident_id=incident.id)
        await session.execute(hold.execution_options(synchronize_session=False))
    return covered


async def let_go(
    ctx: Context, session: AsyncSession, incident: Incident, *, sure_since: datetime | None, now: datetime
) -> bool:
    """Let go of the next of the notices that an incident holds; say whether that were all.

    What is told are expiries that were confirmed, and seen again at `sure_since` or later. All others wait for
    another look, due now: nobody is told of what may be over.
    """
    grants = await _next(session, incident)
    over = [grant.id for grant in grants if grant.status is not GrantStatus.EXPIRED]
    await _settle(session, _of(over) & holds(incident), "it works again, or was deleted", now=now)
    sure = [grant for grant in grants if sure_since and grant.confirmed_at and grant.as_of >= sure_since]
    told = {grant.id for grant in sure}
    for held_by, those in (
        (None, [grant for grant in sure if not grant.quarantined]),
        (HeldBy.QUARANTINE, [grant for grant in sure if grant.quarantined]),
        (HeldBy.CONFIRMATION, [grant for grant in grants if grant.id not in told]),
    ):
        ids = [grant.id for grant in those]
        free = update(Notice).where(_of(ids), holds(incident)).values(held_by=held_by)
        await session.execute(free.execution_options(synchronize_session=False))
    looks = []
    for grant in grants:
        if grant.id not in told and grant.spell:
            looks.append(second_look(ctx, grant, grant.spell, now=now, since=now))
    await receive(session, looks)
    return len(grants) < AT_ONCE


async def withdraw(session: AsyncSession, incident: Incident, reason: str, *, now: datetime) -> None:
    """Never send what an incident holds."""
    await _settle(session, holds(incident), reason, now=now)


async def release_confirmed(session: AsyncSession, grants: Sequence[GrantData]) -> None:
    """Let go of notices that still wait for a confirmation which the grants have: an incident had held them before."""
    ids = [grant.id for grant in grants if grant.status is GrantStatus.EXPIRED and grant.confirmed_at]
    if not ids:
        return
    await _releasing().write(session, [{"grants": ids}])


@cache
def _releasing() -> Prepared:
    waiting = _open_about(among_given(col(Notice.grant_id), "grants")) & (col(Notice.held_by) == HeldBy.CONFIRMATION)
    return Prepared(update(Notice).where(waiting).values(held_by=None))


async def _settle(session: AsyncSession, which: ColumnElement[bool], reason: str, *, now: datetime) -> None:
    never = {"settled_at": now, "outcome": Outcome.SKIPPED, "reason": reason, "held_by": None}
    await session.execute(update(Notice).where(which).values(never).execution_options(synchronize_session=False))


async def _next(session: AsyncSession, incident: Incident) -> Sequence[Grant]:
    held = select(col(Notice.grant_id)).where(holds(incident))
    wanted = select(Grant).where(col(Grant.id).in_(held)).order_by(col(Grant.id)).limit(AT_ONCE)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).all()


def _of(grant_ids: Collection[str]) -> ColumnElement[bool]:
    return _open_about(among(col(Notice.grant_id), grant_ids))


def _open_about(these: ColumnElement[bool]) -> ColumnElement[bool]:
    return these & col(Notice.kind).in_(MOOT) & col(Notice.settled_at).is_(None)
