"""The grants that we hold, as far as something at Nylas carries them."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlmodel import col

from lifecycle import GrantStatus
from models import Grant
from models.database import Database
from worker.runtime import Runtime


async def count(runtime: Runtime, *, provider: str, credential_id: str | None = None) -> int:
    """Say how many of our grants hang on a connector, or on one of its credentials; deleted ones don't."""
    wanted = select(func.count()).where(*_alive(runtime.application.id), col(Grant.provider) == provider)
    if credential_id is not None:
        wanted = wanted.where(col(Grant.credential_id) == credential_id)
    async with runtime.context.database.reading() as session:
        return await session.scalar(wanted) or 0


async def by_provider(database: Database, application_id: UUID) -> Mapping[str, int]:
    """Say the same of every connector."""
    alive = _alive(application_id)
    counted = select(col(Grant.provider), func.count()).where(*alive).group_by(col(Grant.provider))
    async with database.reading() as session:
        return {provider: int(number) for provider, number in await session.execute(counted)}


async def by_credential(runtime: Runtime) -> Mapping[str, int]:
    """Say the same of every credential that a grant names."""
    credential = col(Grant.credential_id)
    alive = _alive(runtime.application.id)
    counted = select(credential, func.count()).where(*alive, credential.is_not(None)).group_by(credential)
    async with runtime.context.database.reading() as session:
        return {credential_id: number for credential_id, number in await session.execute(counted) if credential_id}


async def one_of(runtime: Runtime, *, provider: str, credential_id: str) -> Grant | None:
    """Find a grant to try a credential on: the one that has been expired for longest, else any that has an address."""
    wanted = select(Grant).where(
        *_alive(runtime.application.id),
        col(Grant.provider) == provider,
        col(Grant.credential_id) == credential_id,
        col(Grant.email).is_not(None),
    )
    worst_first = (col(Grant.status) == GrantStatus.EXPIRED).desc(), col(Grant.expired_at), col(Grant.id)
    async with runtime.context.database.reading() as session:
        return (await session.scalars(wanted.order_by(*worst_first).limit(1))).one_or_none()


def grants(number: int) -> str:
    """`1 grant`, `12 grants`."""
    return f"{number} grant{'' if number == 1 else 's'}"


def _alive(application_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return col(Grant.application_id) == application_id, col(Grant.status) != GrantStatus.DELETED
