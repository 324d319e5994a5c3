"""What the lines of a list become: items of a campaign; and what the vault has for a mailbox."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.campaigning import rank_of
from models import Campaign, CampaignItem, CampaignItemData, Grant, VaultSecret
from models.among import among
from models.columns import new_id
from models.inserting import insert_new
from models.sealing import Unsealable
from nylas_api import BulkGrant
from tasks.campaigns.lines import BadLine, Line, OwnSettings, as_text, from_text, takes
from tasks.campaigns.starting import keep_planned, skip_the_taken
from tasks.context import Context

MOST_LINES = 1_000

SAY_HOW = "to make one, a line needs its provider, and a credential_id, a refresh_token or the settings of its account"

Mailbox: TypeAlias = tuple[str, str]
"""A provider, and an address in lower case."""


@dataclass(frozen=True, slots=True)
class Named:
    """The grants of ours that some lines name."""

    by_id: dict[str, Grant] = field(default_factory=dict)
    by_email: dict[str, list[Grant]] = field(default_factory=dict)

    def by(self, line: Line) -> Grant | BadLine | None:
        """Return the one grant that a line names; None if it names a mailbox of which there is none."""
        if line.grant_id:
            grant = self.by_id.get(line.grant_id)
            return BadLine(line.number, reason) if (reason := _against(grant, line)) else grant
        alike = self.by_email.get((line.email or "").lower(), [])
        alike = [grant for grant in alike if line.provider in (None, grant.provider)]
        if len(alike) > 1:
            return BadLine(line.number, f"{len(alike)} grants have this address: name one by its grant_id")
        return alike[0] if alike else None


def _against(grant: Grant | None, line: Line) -> str | None:
    """Say why that can't be the grant that a line means."""
    if grant is None:
        return "no grant of ours has this id (evergrant sync imports what Nylas has)"
    if grant.status is GrantStatus.DELETED:
        return "the grant was deleted"
    if line.email and grant.email and line.email.lower() != grant.email.lower():
        return "it contradicts itself: the grant has another address than this email"
    if line.provider and line.provider != grant.provider:
        return f"it contradicts itself: the grant is one of {grant.provider}"
    return None


async def find_named(session: AsyncSession, application_id: UUID, lines: Sequence[Line]) -> Named:
    """Read the grants that lines name, by id or by address, in one query; deleted ones only by id."""
    ids = {line.grant_id for line in lines if line.grant_id}
    emails = {line.email.lower() for line in lines if line.email and not line.grant_id}
    of_ours = select(Grant).where(col(Grant.application_id) == application_id)
    wanted = of_ours.where(or_(among(col(Grant.id), ids), among(func.lower(col(Grant.email)), emails)))
    named = Named()
    for grant in await session.scalars(wanted):
        named.by_id[grant.id] = grant
        if grant.email and grant.status is not GrantStatus.DELETED:
            named.by_email.setdefault(grant.email.lower(), []).append(grant)
    return named


class GivenUp(Exception):
    """The campaign was given up while its list was read."""


async def hold(session: AsyncSession, campaign: Campaign) -> None:
    """Keep a planned campaign from being given up before this transaction ends. Raises GivenUp if it was already."""
    if not await keep_planned(session, campaign):
        raise GivenUp(f"campaign {campaign.id} was given up while its list was read: nothing of it is done")


async def write_listed(
    session: AsyncSession, ctx: Context, campaign: Campaign, lines: Sequence[Line], *, now: datetime
) -> list[BadLine]:
    """Write the items of a part of a list, at most `MOST_LINES` of them; return the lines that none was written for.

    It may be done again for the same lines: what is there already stays as it is. A grant that is open in another
    campaign becomes an item that was skipped. Raises GivenUp.
    """
    if len(lines) > MOST_LINES:
        raise ValueError(f"give at most {MOST_LINES} lines at a time")
    await hold(session, campaign)
    named = await find_named(session, ctx.application_id, lines)
    bad: list[BadLine] = []
    items: list[CampaignItemData] = []
    first: dict[str, int] = {}
    for line in lines:
        match named.by(line):
            case BadLine() as refused:
                bad.append(refused)
            case Grant() as grant if line.way and not _fits(grant.provider, line):
                bad.append(BadLine(line.number, f"a mailbox of {grant.provider} is not authenticated in this way"))
            case Grant() as grant if grant.id in first:
                bad.append(_the_same(line.number, first[grant.id]))
            case Grant() as grant:
                first[grant.id] = line.number
                items.append(_item(ctx, campaign, line, grant, now))
            case None if line.provider and line.way:
                items.append(_item(ctx, campaign, line, None, now))
            case None:
                bad.append(BadLine(line.number, f"no grant of ours has this address: {SAY_HOW}"))
    items.sort(key=lambda item: item.grant_id or "")  # two lists in different order must not wait for each other
    new = await _store(session, items)
    if left := {grant_id: line for grant_id, line in first.items() if line not in new}:
        bad += await _named_before(session, campaign, left)
        again = {line.number for line in bad}
        await skip_the_taken(session, campaign, {id: line for id, line in left.items() if line not in again}, now=now)
    return sorted(bad, key=lambda line: line.number)


async def _store(session: AsyncSession, items: Sequence[CampaignItemData]) -> set[int | None]:
    """Write those of the items that are new; return their lines."""
    return set(await insert_new(session, CampaignItem, [item.columns() for item in items], returning="line"))


def _fits(provider: str, line: Line) -> bool:
    return takes(provider, type(line.settings) if line.settings else BulkGrant)


def _item(ctx: Context, campaign: Campaign, line: Line, grant: Grant | None, now: datetime) -> CampaignItemData:
    item = CampaignItemData(
        id=new_id(),
        campaign_id=campaign.id,
        grant_id=grant.id if grant else None,
        way=line.way,
        rank=rank_of(grant.expired_at if grant else None, now),
        email=None if grant else line.email,
        provider=None if grant else line.provider,
        credential_id=line.credential_id,
        line=line.number,
        due_at=now,
    )
    if line.settings:
        ctx.keys.seal(item, "secret", as_text(line.settings))
    return item


async def _named_before(session: AsyncSession, campaign: Campaign, first: dict[str, int]) -> list[BadLine]:
    """The lines whose grant has got its item by another line of the same campaign.

    All items of these grants are read: asked for one campaign's, the database might read all that this one has.
    """
    item = col(CampaignItem.grant_id), col(CampaignItem.campaign_id), col(CampaignItem.line)
    written = await session.execute(select(*item).where(among(col(CampaignItem.grant_id), first)))
    rows = [(str(grant_id), line) for grant_id, campaign_id, line in written if campaign_id == campaign.id]
    return [_the_same(first[grant_id], line) for grant_id, line in rows if line != first[grant_id]]


def _the_same(number: int, first: int | None) -> BadLine:
    before = f"line {first}" if first else "another item of this campaign"
    return BadLine(number, f"it names the same grant as {before}")


async def from_vault(
    session: AsyncSession, ctx: Context, mailboxes: Collection[Mailbox]
) -> dict[Mailbox, OwnSettings | Unsealable]:
    """Read what the vault has for some mailboxes; what does not open any more stands there as the error it is."""
    kept: dict[Mailbox, OwnSettings | Unsealable] = {}
    for row in await session.scalars(select(VaultSecret).where(_kept_for(ctx, mailboxes))):
        try:
            kept[row.provider, row.email] = from_text(ctx.keys.reveal(row, "secret"))
        except Unsealable as error:
            kept[row.provider, row.email] = error
    return kept


async def note_use(session: AsyncSession, ctx: Context, mailboxes: Collection[Mailbox], *, now: datetime) -> None:
    """Write down that these mailboxes were authenticated by what the vault has."""
    using = update(VaultSecret).where(_kept_for(ctx, mailboxes)).values(used_at=now)
    await session.execute(using.execution_options(synchronize_session=False))


def _kept_for(ctx: Context, mailboxes: Collection[Mailbox]) -> ColumnElement[bool]:
    mailbox = tuple_(col(VaultSecret.provider), col(VaultSecret.email))
    wanted = [(provider, email.lower()) for provider, email in mailboxes]
    return (col(VaultSecret.application_id) == ctx.application_id) & mailbox.in_(wanted)
