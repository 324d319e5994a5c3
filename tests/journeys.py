"""What the journeys share: grants to begin with, and counts of what an installation has written."""

import asyncio

from sqlalchemy import Select, func, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Grant
from models.database import Database
from tests.installation import Installation

CREDENTIAL = "service-account"


def seed(there: Installation, grants: int, *, status: str = "invalid") -> list[str]:
    """Grants of a service account, at Nylas and imported."""
    seeded = there.sim("POST", "seed", {"grants": grants, "status": status, "credential_id": CREDENTIAL})
    there.cli("sync")
    ids: list[str] = seeded["grants"]
    return ids


def read(url: str, *questions: Select[tuple[int]]) -> list[int]:
    """Ask the database; each question is a count."""

    async def ask() -> list[int]:
        database = Database(url, pool_size=1)
        async with database.reading() as session:
            answers = [(await session.execute(question)).scalar_one() for question in questions]
        await database.close()
        return answers

    return asyncio.run(ask())


def standing(url: str, status: GrantStatus) -> int:
    """How many grants have this status."""
    (count,) = read(url, select(func.count()).where(col(Grant.status) == status))
    return count
