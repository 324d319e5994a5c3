"""Reading how a case ended, in words that are the same in each run: by mailboxes, not by ids."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from models import (
    AuthSession,
    AuthSessionStatus,
    Campaign,
    CampaignItem,
    Delivery,
    Event,
    Grant,
    Notice,
    Retirement,
    RetirementItem,
    Transition,
)
from models.claims import Claimable
from models.database import Database
from storm.books import Books
from storm.kills.ground import Product
from storm.kills.kinds import Ground

Said = tuple[str, str, str]
"""What something is, the mailbox that it is about (or nothing), and how it ended."""


@dataclass(slots=True)
class AtTheKill:
    """What could be known of the moment in which the process died."""

    settled: set[str] = field(default_factory=set)
    """The mailboxes whose item was settled."""
    renewals: Counter[str] = field(default_factory=Counter)
    deletions: Counter[str] = field(default_factory=Counter)
    undelivered: set[str] = field(default_factory=set)
    """The notices of which it was not written that they had been delivered."""
    given_up: set[str] = field(default_factory=set)
    """The mailboxes whose code was about to be sent, and had not reached Nylas: it is never sent any more."""


async def at_the_kill(ground: Ground, emails: dict[str, str]) -> AtTheKill:
    """Read what the dead process had written, and what it had done at Nylas."""
    found, calls = AtTheKill(renewals=renewals(ground), deletions=deletions(ground, emails)), ground.sim.state.calls
    async with ground.ctx.database.reading() as session:
        for model in (CampaignItem, RetirementItem):
            ended = select(col(model.grant_id)).where(col(model.settled_at).is_not(None))
            found.settled |= {emails.get(str(grant_id), "") for grant_id in await session.scalars(ended)}
        on_their_way = select(col(Delivery.notice_id)).where(col(Delivery.settled_at).is_(None))
        found.undelivered = {str(id) for id in await session.scalars(on_their_way)}
        started = select(AuthSession).where(
            col(AuthSession.status) == AuthSessionStatus.EXCHANGING, col(AuthSession.grant_id).is_(None)
        )
        for row in await session.scalars(started):
            if calls.codes[ground.ctx.keys.reveal(row, "code")] == 0:
                found.given_up.add(str(row.login_hint))
    return found


def renewals(ground: Ground) -> Counter[str]:
    """How often Nylas renewed each mailbox."""
    return Counter({email.lower(): count for email, count in ground.sim.state.calls.renewals.items()})


def deletions(ground: Ground, emails: dict[str, str]) -> Counter[str]:
    """How often Nylas was asked to delete the grant of each mailbox."""
    calls = ground.sim.state.calls.by_grant
    return Counter({emails[id]: asked["DELETE /v3/grants/{id}"] for id, asked in calls.items() if id in emails})


async def mailboxes(database: Database) -> dict[str, str]:
    """The mailbox of each grant that we know."""
    async with database.reading() as session:
        return {id: str(email) for id, email in await session.execute(select(col(Grant.id), col(Grant.email)))}


async def ending(database: Database, books: Books) -> Counter[Said]:
    """All that ended, and how."""
    of, said = await mailboxes(database), Counter[Said]()
    said.update(("grant", of[id], status) for id, status in books.grants.items())
    async with database.reading() as session:
        for change in await session.scalars(select(Transition)):
            said["transition", of[change.grant_id], f"{change.old_status} → {change.new_status}"] += 1
        hints = {str(row.id): row.login_hint for row in await session.scalars(select(AuthSession))}
        for event in await session.scalars(select(Event)):
            whose = hints.get(_named(event.raw)) or of.get(event.grant_id or "", "")
            said["event", whose, f"{event.kind} {_end(event)}"] += 1
        for row in await session.scalars(select(AuthSession)):
            said["sign-in", str(row.login_hint), row.status.value] += 1
        for notice in await session.scalars(select(Notice)):
            said["notice", of.get(notice.grant_id or "", ""), f"{notice.kind} {_end(notice)}"] += 1
        for item in await session.scalars(select(CampaignItem)):
            said["item of a campaign", of.get(item.grant_id or "", ""), _end(item)] += 1
        for row_of_plan in await session.scalars(select(RetirementItem)):
            said["item of a plan", of[row_of_plan.grant_id], _end(row_of_plan)] += 1
        for campaign in await session.scalars(select(Campaign)):
            said["campaign", "", f"{campaign.status} of {campaign.total}"] += 1
        for plan in await session.scalars(select(Retirement)):
            said["retirement", "", f"{plan.status} of {plan.total}"] += 1
    heard = {entry.id: entry for entry in books.heard}.values()
    said.update(("heard", of.get(entry.grant_id or "", ""), entry.kind) for entry in heard)
    return said


def _end(row: Claimable) -> str:
    return row.outcome.value if row.outcome else "open"


def _named(raw: bytes) -> str:
    return str(json.loads(raw).get("auth_session", ""))


async def left_open(database: Database, until: datetime) -> list[str]:
    """What should have been settled by now, and is not."""
    found = list[str]()
    async with database.reading() as session:
        for model in (Event, Notice, Delivery, CampaignItem, RetirementItem):
            due = (col(model.settled_at).is_(None), col(model.due_at) <= until)
            for row in await session.scalars(select(model).where(*due)):
                found.append(f"a row of {model.__tablename__} is open: {row.reason or row.id}")
    return found


def heard_twice(product: Product) -> Counter[str]:
    """How often the product was told each notice, where it was more than once."""
    counted = Counter(entry["id"] for entry in product.heard)
    return Counter({id: count for id, count in counted.items() if count > 1})
