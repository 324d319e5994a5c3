"""A campaign that was asked for starts: its items are written, and the first of them rung for."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from celery import shared_task
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.campaigning import rank_of
from models import (
    Campaign,
    CampaignItem,
    CampaignItemData,
    CampaignStatus,
    Event,
    Grant,
    GrantData,
    Outcome,
    VaultSecret,
    Way,
)
from models.among import among
from models.bulk import GRANTS, grants_of
from models.claims import close
from models.columns import new_id
from models.inserting import insert_new
from models.kinds import REAUTH_BULK_REQUESTED
from tasks.campaigns.choice import Skipped, way_of
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.ending import finish_if_done
from tasks.campaigns.serving import ring_next
from tasks.claiming import Claim, each_alone
from tasks.connectors import known_connectors
from tasks.context import BULK_CHUNKS_AT_ONCE, Context

ITEMS_A_TRANSACTION = 2_000


@shared_task(name=REAUTH_BULK_REQUESTED)
async def start_campaigns(ctx: Context, event_ids: Sequence[UUID]) -> None:
    """Write the items of each campaign that was asked for, and set it running."""
    await each_alone(ctx, Event, event_ids, _start)


async def _start(claim: Claim[Event], event: Event) -> None:
    ctx = claim.ctx
    campaign_id = _named_by(event)
    async with ctx.database.reading() as session:
        campaign = await session.get(Campaign, campaign_id) if campaign_id else None
    if campaign_id is None or campaign is None:
        async with claim.settling() as (_session, events):
            for row in events:
                close(row, Outcome.SET_ASIDE, now=ctx.now(), reason=row.reason or "there is no such campaign")
        return
    if campaign.status is CampaignStatus.PLANNED:
        await write_items(ctx, campaign)
    async with claim.settling() as (session, events):
        if not events:
            return
        total = await session.scalar(select(func.count()).where(col(CampaignItem.campaign_id) == campaign_id)) or 0
        running = update(Campaign).where(col(Campaign.id) == campaign_id)
        await session.execute(
            running.where(col(Campaign.status) == CampaignStatus.PLANNED).values(
                status=CampaignStatus.RUNNING, started_at=ctx.now(), total=total
            )
        )
        for row in events:
            close(row, Outcome.DONE, now=ctx.now(), reason=f"{total} grants to re-authenticate")
    await ring_next(ctx, chunks=BULK_CHUNKS_AT_ONCE, campaign_id=campaign_id)
    await finish_if_done(ctx, campaign_id)


def _named_by(event: Event) -> UUID | None:
    """Read which campaign an event is about; None if it names none: then it is a request that was refused."""
    try:
        return UUID(json.loads(event.raw)["campaign"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


async def keep_planned(session: AsyncSession, campaign: Campaign) -> bool:
    """Keep a campaign planned until this transaction ends; say whether it can be: it may be given up, or run, already.

    Items are written in a transaction that has asked this: one that is given up would never end those that come later.
    """
    status = select(col(Campaign.status)).where(col(Campaign.id) == campaign.id).with_for_update(read=True)
    return await session.scalar(status) is CampaignStatus.PLANNED


async def write_items(ctx: Context, campaign: Campaign) -> None:
    """Write the items in parts, while the campaign is planned; a second run adds only what is missing."""
    if "grants" in campaign.filter:
        await _write_named(ctx, campaign, campaign.filter["grants"])
    elif "list" in campaign.filter:  # its items were written as it was read
        await choose_ways(ctx, campaign)
    else:
        await _write_matching(ctx, campaign)


async def _write_matching(ctx: Context, campaign: Campaign) -> None:
    """From one grant id to the next."""
    matching = GrantFilter.model_validate(campaign.filter).matches(campaign.application_id, campaign.created_at)
    after = ""
    while True:
        async with ctx.database.writing() as session:
            if not await keep_planned(session, campaign):
                return
            part = select(GRANTS).where(matching, col(Grant.id) > after).order_by(col(Grant.id))
            grants = await grants_of(session, part.limit(ITEMS_A_TRANSACTION))
            if not grants:
                return
            await _write_part(ctx, session, campaign, [_Named(grant) for grant in grants])
            after = grants[-1].id


@dataclass(frozen=True, slots=True)
class _Named:
    """A grant of the campaign, and the line that named it, if one did."""

    grant: GrantData
    line: int | None = None


async def _write_named(ctx: Context, campaign: Campaign, names: Sequence[str]) -> None:
    """One item for each name; a name that is no grant of ours, or several, is an item as well, which is skipped."""
    for start in range(0, len(names), ITEMS_A_TRANSACTION):
        part = dict(enumerate(names[start : start + ITEMS_A_TRANSACTION], start + 1))
        async with ctx.database.writing() as session:
            if not await keep_planned(session, campaign):
                return
            found, unknown = await _find(session, campaign.application_id, part)
            await _write_part(ctx, session, campaign, found)
            rows = [_skipped(campaign, reason, ctx.now(), email=part[line], line=line) for line, reason in unknown]
            await _store(session, rows)


async def _find(
    session: AsyncSession, application_id: UUID, names: Mapping[int, str]
) -> tuple[list[_Named], list[tuple[int, str]]]:
    emails = {name.lower() for name in names.values() if "@" in name}
    mine = (col(Grant.application_id) == application_id) & (
        among(col(Grant.id), names.values()) | among(func.lower(col(Grant.email)), emails)
    )
    by_id: dict[str, GrantData] = {}
    by_email: dict[str, list[GrantData]] = {}
    for grant in await grants_of(session, select(GRANTS).where(mine)):
        by_id[grant.id] = grant
        by_email.setdefault((grant.email or "").lower(), []).append(grant)
    found, unknown, taken = list[_Named](), list[tuple[int, str]](), set[str]()
    for line, name in names.items():
        grants = [by_id[name]] if name in by_id else by_email.get(name.lower(), [])
        alive = [grant for grant in grants if grant.status is not GrantStatus.DELETED] or grants
        if not alive:
            unknown.append((line, "no grant of ours has this id or address"))
        elif len(alive) > 1:
            unknown.append((line, f"{len(alive)} grants have this address: name one by its id"))
        elif alive[0].id in taken:
            unknown.append((line, f"grant {alive[0].id} was named before"))
        else:
            taken.add(alive[0].id)
            found.append(_Named(alive[0], line))
    return found, unknown


async def _write_part(ctx: Context, session: AsyncSession, campaign: Campaign, named: Sequence[_Named]) -> None:
    """Write items for these grants: open ones, and settled ones for those that nothing can be done for."""
    now = ctx.now()
    connectors, vault = (
        await known_connectors(ctx, session),
        await _in_vault(session, campaign, [one.grant for one in named]),
    )
    rows = []
    for one in named:
        grant = one.grant
        mailbox = grant.provider, (grant.email or "").lower()
        way = way_of(grant, connectors, in_vault=vault.get(mailbox), ask_users=campaign.ask_users)
        if isinstance(way, Skipped):
            rows.append(_skipped(campaign, way.reason, now, grant_id=grant.id, line=one.line))
        else:
            rows.append(_open(campaign, grant, way, now, line=one.line))
    new = await _store(session, rows)
    left = {one.grant.id: one.line for one in named if one.grant.id not in new}
    if left:
        await skip_the_taken(session, campaign, left, now=now)


def _open(campaign: Campaign, grant: GrantData, way: Way, now: datetime, *, line: int | None) -> CampaignItemData:
    return CampaignItemData(
        id=new_id(),
        campaign_id=campaign.id,
        grant_id=grant.id,
        way=way,
        rank=rank_of(grant.expired_at, now),
        due_at=now,
        line=line,
    )


def _skipped(campaign: Campaign, reason: str, now: datetime, **what: Any) -> CampaignItemData:
    item = CampaignItemData(id=new_id(), campaign_id=campaign.id, due_at=now, **what)
    close(item, Outcome.SKIPPED, now=now, reason=reason)
    return item


async def _store(session: AsyncSession, items: Sequence[CampaignItemData]) -> set[str | None]:
    """Write those of the items that are new; return their grants."""
    return set(await insert_new(session, CampaignItem, [item.columns() for item in items], returning="grant_id"))


async def skip_the_taken(
    session: AsyncSession, campaign: Campaign, lines: Mapping[str, int | None], *, now: datetime
) -> None:
    """Write skipped items for those of the grants that got none: they are open in another campaign.

    Those that have one here from an earlier run keep it. They are not looked for: the database would rather read all
    items of this campaign, each time, than look up the few.
    """
    holders = select(col(CampaignItem.grant_id), col(CampaignItem.campaign_id)).where(
        among(col(CampaignItem.grant_id), lines), col(CampaignItem.settled_at).is_(None)
    )
    held_by: dict[str | None, UUID] = {row[0]: row[1] for row in await session.execute(holders)}
    rows = [
        _skipped(campaign, _held(held_by.get(id)), now, grant_id=id, line=lines[id])
        for id in sorted(lines)
        if held_by.get(id) != campaign.id
    ]
    await _store(session, rows)


def _held(campaign_id: UUID | None) -> str:
    return f"it is in campaign {campaign_id} that runs" if campaign_id else "it was in another campaign until just now"


async def _in_vault(
    session: AsyncSession, campaign: Campaign, grants: Iterable[GrantData]
) -> dict[tuple[str, str], Way]:
    """Say for which mailboxes the vault has something, and what."""
    emails = {grant.email.lower() for grant in grants if grant.email}
    columns = col(VaultSecret.provider), col(VaultSecret.email), col(VaultSecret.way)
    kept = select(*columns).where(
        col(VaultSecret.application_id) == campaign.application_id, among(col(VaultSecret.email), emails)
    )
    return {(provider, email): way for provider, email, way in await session.execute(kept)}


async def choose_ways(ctx: Context, campaign: Campaign) -> None:
    """Choose a way for those items of a list whose lines name a grant and nothing else."""
    after = UUID(int=0)
    while True:
        async with ctx.database.writing() as session:
            if not await keep_planned(session, campaign):
                return
            open_ones = select(CampaignItem, Grant).join(Grant, col(Grant.id) == col(CampaignItem.grant_id))
            part = open_ones.where(
                col(CampaignItem.campaign_id) == campaign.id,
                col(CampaignItem.way).is_(None),
                col(CampaignItem.settled_at).is_(None),
                col(CampaignItem.id) > after,
            )
            rows = (await session.execute(part.order_by(col(CampaignItem.id)).limit(ITEMS_A_TRANSACTION))).all()
            if not rows:
                return
            now, connectors = ctx.now(), await known_connectors(ctx, session)
            vault = await _in_vault(session, campaign, [grant for _, grant in rows])
            for item, grant in rows:
                kept = vault.get((grant.provider, (grant.email or "").lower()))
                way = way_of(grant, connectors, in_vault=kept, ask_users=campaign.ask_users)
                if isinstance(way, Skipped):
                    close(item, Outcome.SKIPPED, now=now, reason=way.reason)
                else:
                    item.way = way
            after = rows[-1][0].id
