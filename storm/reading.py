"""Reading our tables when the storm is over, and seeing before that whether anything is left to do."""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
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
    Outcome,
    Transition,
)
from models.database import Database
from models.kinds import WEBHOOKS_DOUBTED
from models.spool import Spool
from storm.books import EventRow, Heard, ItemRow, NoticeRow, SignInRow, TransitionRow

LATER = timedelta(minutes=30)
"""What is planned for later than this is none of the storm's."""


async def left(database: Database) -> dict[str, int]:
    """What is still to be done, counted by what it is."""
    soon = datetime.now(UTC) + LATER
    async with database.reading() as session:
        open_events = (
            select(col(Event.kind), func.count())
            .where(col(Event.settled_at).is_(None), col(Event.kind) != WEBHOOKS_DOUBTED)
            .group_by(col(Event.kind))
        )
        found = {f"event {kind}": count for kind, count in (await session.execute(open_events)).all()}
        for what, counting in {
            "notices": select(func.count()).where(col(Notice.settled_at).is_(None), col(Notice.due_at) < soon),
            "deliveries": select(func.count()).where(col(Delivery.settled_at).is_(None)),
            "items": select(func.count()).where(col(CampaignItem.settled_at).is_(None)),
            "sign-ins": select(func.count()).where(
                col(AuthSession.status).in_([AuthSessionStatus.RETURNED, AuthSessionStatus.EXCHANGING])
            ),
        }.items():
            found[what] = (await session.execute(counting)).scalar_one()
    if database.file:
        found["webhooks in the spool"] = await in_the_spool(database.file)
    return {what: count for what, count in found.items() if count}


async def in_the_spool(file: Path) -> int:
    """How much the spool of a SQLite database keeps that may not be there yet."""
    spool = Spool(file)
    try:
        return len(await spool.left())
    finally:
        await spool.close()


async def events(database: Database) -> list[EventRow]:
    """All events."""
    async with database.reading() as session:
        return [
            EventRow(
                str(row.id),
                _told(row.raw, row.kind) if row.source == "nylas" else None,
                row.kind,
                row.settled_at is not None or row.kind == WEBHOOKS_DOUBTED,
                row.outcome.value if row.outcome else None,
                row.reason,
            )
            for row in await session.scalars(select(Event))
        ]


def _told(raw: bytes, kind: str) -> str:
    """What a webhook is known by to who brought it."""
    try:
        id = json.loads(raw)["id"]
    except (ValueError, TypeError, LookupError, RecursionError):
        id = ""
    return id if isinstance(id, str) and id and not id.startswith("poison-") else hashlib.sha256(raw).hexdigest()


async def grants(database: Database) -> dict[str, str]:
    """The status of each grant."""
    async with database.reading() as session:
        rows = await session.execute(select(col(Grant.id), col(Grant.status)))
        return {id: status.value for id, status in rows.all()}


async def transitions(database: Database) -> list[TransitionRow]:
    """All history, in its order."""
    async with database.reading() as session:
        rows = await session.scalars(select(Transition).order_by(col(Transition.at), col(Transition.id)))
        return [
            TransitionRow(
                str(row.id),
                row.grant_id,
                row.old_status.value if row.old_status else None,
                row.new_status.value,
                row.at,
                row.cause,
            )
            for row in rows
        ]


async def notices(database: Database, *, now: datetime | None = None) -> list[NoticeRow]:
    """All notices."""
    soon = (now or datetime.now(UTC)) + LATER
    async with database.reading() as session:
        ends = (await session.execute(select(col(Delivery.notice_id), col(Delivery.outcome)))).all()
        overtaken = {str(id) for id, outcome in ends if outcome is Outcome.SKIPPED}
        undelivered = Counter(str(id) for id, outcome in ends if outcome not in (Outcome.DONE, Outcome.SKIPPED))
        return [
            NoticeRow(
                str(row.id),
                row.kind.value,
                row.grant_id,
                row.seq,
                str(row.transition_id) if row.transition_id else None,
                row.settled_at is not None,
                row.due_at < soon,
                row.outcome.value if row.outcome else None,
                row.reason or (f"held by {row.held_by.value}" if row.held_by else None),
                undelivered[str(row.id)],
                str(row.id) in overtaken,
            )
            for row in await session.scalars(select(Notice))
        ]


async def sign_ins(database: Database) -> list[SignInRow]:
    """All sign-ins whose users came back."""
    async with database.reading() as session:
        rows = await session.scalars(select(AuthSession).where(col(AuthSession.status) != AuthSessionStatus.STARTED))
        return [
            SignInRow(
                str(row.id),
                row.status.value,
                row.ended_at is not None,
                row.code is not None or row.code_verifier is not None,
                row.grant_id,
            )
            for row in rows
        ]


async def items(database: Database) -> list[ItemRow]:
    """All items of campaigns."""
    wanted = select(CampaignItem, col(Grant.email)).join(
        Grant, col(CampaignItem.grant_id) == col(Grant.id), isouter=True
    )
    async with database.reading() as session:
        return [
            ItemRow(
                str(item.id),
                item.grant_id,
                item.email or email,
                item.settled_at is not None,
                item.outcome.value if item.outcome else None,
                item.cause,
                item.attempts,
            )
            for item, email in (await session.execute(wanted)).all()
        ]


async def campaigns(database: Database) -> dict[str, str]:
    """The status of each campaign that has items."""
    with_items = select(col(CampaignItem.campaign_id))
    wanted = select(col(Campaign.id), col(Campaign.status)).where(col(Campaign.id).in_(with_items))
    async with database.reading() as session:
        return {str(id): status.value for id, status in (await session.execute(wanted)).all()}


def heard(entries: list[dict[str, Any]]) -> list[Heard]:
    """The product's books."""
    return [
        Heard(
            entry["id"],
            entry.get("kind", ""),
            entry.get("grant_id"),
            entry.get("sequence"),
            entry.get("status"),
            datetime.fromisoformat(entry["at"]),
            entry["signed"],
        )
        for entry in entries
    ]
