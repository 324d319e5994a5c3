"""Mistakes that are put into a process under test, to see whether the kill matrix finds them."""

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from models import AuthSession, AuthSessionStatus, Delivery, Event, Outcome, RetirementItem
from tasks import oauth_callback, retiring
from tasks.claiming import Claim
from tasks.context import Context
from tasks.looking import Look
from tasks.notices import delivering
from tasks.notices.sending import Attempt, Matter


def settles_before_sending() -> None:
    """A delivery counts as done before it is."""
    attempt = delivering.attempt

    async def settles_first(ctx: Context, matter: Matter, endpoint: Any) -> Attempt:
        done = {"settled_at": ctx.now(), "outcome": Outcome.DONE, "claim_token": None, "lease_until": None}
        async with ctx.database.writing() as session:
            await session.execute(update(Delivery).where(col(Delivery.id) == matter.delivery.id).values(done))
        return await attempt(ctx, matter, endpoint)

    delivering.attempt = settles_first


def exchanges_before_it_says_so() -> None:
    """A code is sent, and nobody has committed that it will be."""

    async def begins(claim: Claim[Event], event: Event) -> AuthSession | None:
        async with claim.ctx.database.reading() as session:
            sign_in = await session.get_one(AuthSession, oauth_callback._session_id(event))
        return sign_in if sign_in.status is AuthSessionStatus.RETURNED else None

    oauth_callback._begin = begins


def deletes_before_it_says_so() -> None:
    """A grant is deleted, and nobody has committed that it will be."""
    intend = retiring._intend

    async def forgets(claim: Claim[RetirementItem], look: Look) -> bool:
        may = await intend(claim, look)
        never: datetime | None = None
        async with claim.ctx.database.writing() as session:
            await session.execute(update(RetirementItem).values(sent_at=never))
        return may

    retiring._intend = forgets
