"""What is to be told becomes rows, in the transaction of the change: planned, held, released or withdrawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle.backfill import backfill_until
from lifecycle.reminding import escalation_due, reminder_due
from lifecycle.spells import Spell
from lifecycle.tidings import Step, Tiding
from models import (
    MOOT,
    Campaign,
    CampaignItem,
    EventData,
    GrantData,
    HeldBy,
    Incident,
    Notice,
    NoticeData,
    NoticeKind,
    Outcome,
    TransitionData,
)
from models.among import among_given
from models.bulk import write_changes
from models.inbox import event_key, receive, told
from models.kinds import GRANT_RECHECK
from models.prepared import Prepared
from tasks.context import Context
from tasks.notices.at_once import settle_at_once, store_deliveries
from tasks.notices.storing import store, untold


@dataclass(frozen=True, slots=True)
class News:
    """A step in the telling about one grant, and what it rests on."""

    grant: GrantData
    tiding: Tiding
    spell: Spell | None
    """The spell that begins, goes on, or has just ended."""
    change: TransitionData | None
    incident: Incident | None = None
    """The open incident that explains it, if there is one."""


async def tell(ctx: Context, session: AsyncSession, news: Sequence[News], *, now: datetime) -> None:
    """Write the notices, and the second looks, that the news call for. The grants must be locked."""
    withdrawn = await _withdraw(session, news, now=now)
    notices, looks = list[NoticeData](), list[EventData]()
    for item in news:
        match item.tiding.step:
            case Step.INTRODUCE:
                notices.append(_notice(ctx, item, NoticeKind.VALID, now=now))
            case Step.PLAN if item.spell:
                held = _notice(ctx, item, NoticeKind.EXPIRED, now=now, due_at=item.spell.confirm_at)
                held.held_by = HeldBy.INCIDENT if item.incident else HeldBy.CONFIRMATION
                notices.append(held)
                looks.append(second_look(ctx, item.grant, item.spell, now=now))
            case Step.CONFIRM:
                notices += await _confirmed(ctx, session, item, now=now)
            case Step.RECOVER:
                notices += _recovered(ctx, item, withdrawn.get(item.grant.id, ()), now=now)
            case Step.END:
                notices.append(_notice(ctx, item, NoticeKind.DELETED, now=now))
            case Step.KEEP_QUIET:
                before_us = "it had expired before Evergrant knew it"
                notices.append(untold(_notice(ctx, item, NoticeKind.EXPIRED, now=now), before_us, now=now))
            case _:
                pass
    deliveries = await settle_at_once(ctx, session, notices, {item.grant.id: item.grant for item in news}, now=now)
    await write_changes(session, [item.grant for item in news])  # with the numbers of their notices
    await store(session, notices)
    await store_deliveries(session, deliveries)
    await receive(session, looks)


def second_look(
    ctx: Context, grant: GrantData, spell: Spell, *, now: datetime, since: datetime | None = None
) -> EventData:
    """Make the event of a second look: due when the grace is over, once for each spell, or for what was since then."""
    event = told(
        GRANT_RECHECK,
        event_key("recheck", grant.id, (since or spell.seen_at).isoformat()),
        application_id=ctx.application_id,
        source="evergrant",
        now=now,
        grant_id=grant.id,
    )
    event.due_at = max(now, spell.confirm_at)
    return event


def reminder(ctx: Context, grant: GrantData, number: int, *, now: datetime) -> NoticeData | None:
    """Make the notice that asks the user to come back; None after the last one."""
    assert grant.confirmed_at is not None
    due = reminder_due(
        grant.confirmed_at,
        number,
        days=ctx.policy.reminder_days,
        quiet=ctx.policy.quiet,
        zone=_zone_of(ctx, grant),
    )
    if due is None:
        return None
    notice = about(ctx, grant, NoticeKind.REAUTH_REQUIRED, now=now, due_at=max(due, now))
    notice.number, notice.occurred_at = number, grant.confirmed_at
    return notice


def quiet_until(ctx: Context, grant: GrantData, moment: datetime) -> datetime:
    """Say until when the user of a grant is not to be reminded; the moment itself outside of quiet hours."""
    return ctx.policy.quiet.end_of(moment, _zone_of(ctx, grant)) if ctx.policy.quiet else moment


def escalation(ctx: Context, grant: GrantData, *, now: datetime) -> NoticeData:
    """Make the notice that tells the operator that nobody came back."""
    assert grant.confirmed_at is not None
    due = max(now, escalation_due(grant.confirmed_at, days=ctx.policy.reminder_days))
    return about(ctx, grant, NoticeKind.UNATTENDED, now=now, due_at=due)


async def tell_of_campaign(ctx: Context, session: AsyncSession, campaign_id: UUID, *, now: datetime) -> None:
    """Write the notice that a campaign has finished, with how many of its items ended in which way."""
    campaign = await session.get_one(Campaign, campaign_id, populate_existing=True)
    of_it = select(col(CampaignItem.outcome), func.count()).where(col(CampaignItem.campaign_id) == campaign_id)
    ended = (await session.execute(of_it.group_by(col(CampaignItem.outcome)))).all()
    data = {
        "campaign_id": str(campaign_id),
        "total": campaign.total,
        "outcomes": {outcome.value: number for outcome, number in ended if outcome},
        "started_at": campaign.started_at.isoformat() if campaign.started_at else None,
        "finished_at": now.isoformat(),
    }
    finished = NoticeData(
        application_id=ctx.application_id,
        kind=NoticeKind.CAMPAIGN_FINISHED,
        campaign_id=campaign_id,
        data=data,
        occurred_at=now,
        created_at=now,
        due_at=now,
    )
    await store(session, [finished])


async def _confirmed(ctx: Context, session: AsyncSession, item: News, *, now: datetime) -> list[NoticeData]:
    """Release the notice that was held for the second look, unless an incident explains it; ask for a reminder."""
    held = HeldBy.QUARANTINE if item.grant.quarantined else HeldBy.INCIDENT if item.incident else None
    incident_id = item.incident.id if item.incident else None
    told = {"new_held_by": held, "new_incident": incident_id, "new_due": now, "new_data": facts(item.grant)}
    await _releasing().write(session, [{"grant": item.grant.id, **told}])
    first = reminder(ctx, item.grant, 0, now=now)
    if first is None:
        return []
    first.held_by, first.incident_id = held, incident_id
    return [first]


@cache
def _releasing() -> Prepared:
    release = update(Notice).where(
        col(Notice.grant_id) == bindparam("grant"),
        col(Notice.kind) == NoticeKind.EXPIRED,
        col(Notice.settled_at).is_(None),
        # An incident that explains it no more has nothing to hold.
        col(Notice.held_by).in_((HeldBy.CONFIRMATION, HeldBy.INCIDENT)),
    )
    new = {"held_by": "new_held_by", "incident_id": "new_incident", "due_at": "new_due", "data": "new_data"}
    return Prepared(release.values({column: bindparam(name) for column, name in new.items()}))


def _recovered(ctx: Context, item: News, withdrawn: Sequence[NoticeKind], *, now: datetime) -> list[NoticeData]:
    notice = _notice(ctx, item, NoticeKind.RECOVERED, now=now)
    if item.spell:
        notice.data = notice.data | {"expired_at": item.spell.expired_at.isoformat()}
    if NoticeKind.EXPIRED in withdrawn:
        untold(notice, "nobody had been told that it had expired", now=now)
    notices = [notice]
    if lost := item.tiding.gap:
        missed = _notice(ctx, item, NoticeKind.GAP, now=now)
        missed.data = missed.data | {"since": lost.since.isoformat(), "until": lost.until.isoformat()}
        notices.append(missed)
    return notices


async def _withdraw(session: AsyncSession, news: Sequence[News], *, now: datetime) -> Mapping[str, list[NoticeKind]]:
    """Take back what is not told yet and no longer true; return which kinds that were, by grant."""
    why = {
        Step.WITHDRAW: "it recovered before it was confirmed",
        Step.RECOVER: "it recovered",
        Step.END: "it was deleted",
    }
    withdrawn: dict[str, list[NoticeKind]] = {}
    for step, reason in why.items():
        ids = [item.grant.id for item in news if item.tiding.step is step]
        if not ids:
            continue
        for grant_id, kind in await _withdrawing().rows(session, {"grants": ids, "now": now, "why": reason}):
            withdrawn.setdefault(grant_id, []).append(kind)
    return withdrawn


@cache
def _withdrawing() -> Prepared:
    about_them = among_given(col(Notice.grant_id), "grants")
    moot = update(Notice).where(about_them, col(Notice.kind).in_(MOOT), col(Notice.settled_at).is_(None))
    ended = {"settled_at": bindparam("now"), "outcome": Outcome.SKIPPED, "reason": bindparam("why")}
    let_go = {"claim_token": None, "lease_until": None}
    return Prepared(moot.values(ended | let_go).returning(col(Notice.grant_id), col(Notice.kind)))


def _notice(ctx: Context, item: News, kind: NoticeKind, *, now: datetime, due_at: datetime | None = None) -> NoticeData:
    notice = about(ctx, item.grant, kind, now=now, due_at=due_at or now)
    notice.transition_id = item.change.id if item.change else None
    if notice.held_by is None and item.incident and kind in MOOT:
        notice.held_by, notice.incident_id = HeldBy.INCIDENT, item.incident.id
    return notice


def about(ctx: Context, grant: GrantData, kind: NoticeKind, *, now: datetime, due_at: datetime) -> NoticeData:
    """Make a notice about a grant, the next of its own numbers. The grant must be locked."""
    grant.notices += 1
    return NoticeData(
        application_id=ctx.application_id,
        kind=kind,
        grant_id=grant.id,
        seq=grant.notices,
        data=facts(grant),
        occurred_at=grant.as_of,
        created_at=now,
        due_at=due_at,
        held_by=HeldBy.QUARANTINE if grant.quarantined and kind is not NoticeKind.DELETED else None,
    )


def facts(grant: GrantData) -> dict[str, Any]:
    """Return what each notice about a grant tells of it. Times are ISO 8601 in UTC."""
    told: dict[str, Any] = {
        "grant_id": grant.id,
        "provider": grant.provider,
        "email": grant.email,
        "status": grant.status.value,
    }
    if grant.expired_at:
        told["expired_at"] = grant.expired_at.isoformat()
        told["backfill_until"] = backfill_until(grant.expired_at).isoformat()
    return told


def _zone_of(ctx: Context, grant: GrantData) -> ZoneInfo:
    return _zone(grant.zone) or _zone(ctx.policy.zone) or ZoneInfo("UTC")


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


async def open_notices(session: AsyncSession, grant_id: str) -> Sequence[Notice]:
    """Read what is still to be told of a grant."""
    wanted = select(Notice).where(col(Notice.grant_id) == grant_id, col(Notice.settled_at).is_(None))
    return (await session.scalars(wanted.order_by(col(Notice.seq)))).all()
