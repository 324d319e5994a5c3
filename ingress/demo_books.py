"""What the demo reads in Evergrant's own tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from lifecycle import GrantStatus
from models import CampaignItem, Event, Grant, Outcome, Transition
from models.database import Database
from models.kinds import GRANT_EXPIRED


@dataclass(frozen=True, slots=True)
class Totals:
    """What happened, counted."""

    events: int
    told_expired: int
    confirmed_expired: int
    renewed: int
    changes: int
    statuses: dict[str, int]


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[AsyncSession]:
    """Open the database for a look."""
    database = Database(url, pool_size=1)
    try:
        async with database.reading() as session:
            yield session
    finally:
        await database.close()


async def grant_of(url: str, email: str) -> Grant | None:
    """The grant of a mailbox."""
    async with reading(url) as session:
        return (await session.scalars(select(Grant).where(col(Grant.email) == email))).one_or_none()


async def stands(url: str, grant_id: str, status: GrantStatus) -> bool:
    """Say whether a grant has this status."""
    async with reading(url) as session:
        grant = await session.get(Grant, grant_id)
        return grant is not None and grant.status is status


async def reason_of_expiry_hint(url: str, grant_id: str) -> str | None:
    """What became of the `grant.expired` for this grant, once it is settled."""
    async with reading(url) as session:
        hint = select(Event).where(col(Event.grant_id) == grant_id, col(Event.kind) == GRANT_EXPIRED)
        event = (await session.scalars(hint)).first()
        return event.reason if event and event.settled_at else None


async def all_settled(url: str) -> bool:
    """Say whether no event is left to deal with."""
    async with reading(url) as session:
        return await session.scalar(select(func.count()).where(col(Event.settled_at).is_(None))) == 0


async def totals(url: str) -> Totals:
    """Count."""
    expired = col(Transition.new_status) == GrantStatus.EXPIRED
    async with reading(url) as session:

        async def count(counted: type[SQLModel], *conditions: ColumnElement[bool]) -> int:
            counting: Select[int] = select(func.count()).select_from(counted).where(*conditions)
            return (await session.execute(counting)).scalar_one()

        by_status = select(col(Grant.status), func.count()).group_by(col(Grant.status))
        return Totals(
            events=await count(Event),
            told_expired=await count(Event, col(Event.kind) == GRANT_EXPIRED),
            confirmed_expired=await count(Transition, col(Transition.cause) == GRANT_EXPIRED, expired),
            renewed=await count(CampaignItem, col(CampaignItem.outcome) == Outcome.DONE),
            changes=await count(Transition),
            statuses={status.value: number for status, number in (await session.execute(by_status)).all()},
        )
