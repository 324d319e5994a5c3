"""Mistakes that are put into a process under test, to see whether the kill matrix finds them."""

from datetime import datetime

from sqlalchemy import update

from models import RetirementItem
from storm.sabotage.breaks import break_by
from tasks import retiring
from tasks.claiming import Claim
from tasks.looking import Look


def settles_before_sending() -> None:
    """A delivery counts as done before it is."""
    break_by("a notice is delivered before it is sent")


def exchanges_before_it_says_so() -> None:
    """A code is sent, and nobody has committed that it will be."""
    break_by("a code is sent before it is committed that it will be")


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
