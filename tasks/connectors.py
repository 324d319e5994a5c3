"""What we know of the application's connectors: read from Nylas with each sync, and asked for from the table."""

import structlog
from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models import Grant, KnownConnector
from models.inserting import insert_new
from nylas_api import KeyRejected, NylasError, Transient
from tasks.context import Context

log = structlog.get_logger()


async def read_connectors(ctx: Context) -> None:
    """Write down which connectors there are, what they ask for, and by which credential: one call.

    A Nylas that will not list them is no reason to know nothing of the grants: we keep what we knew. Raises
    NylasError where asking again, or another key, can help.
    """
    try:
        told = await ctx.nylas.connectors.list()
    except NylasError as error:
        if isinstance(error, Transient | KeyRejected):
            raise
        log.warning("connectors.not_listed", told=str(error), request_id=error.request_id)
        return
    now = ctx.now()
    async with ctx.database.writing() as session:
        for connector in sorted(told.data, key=lambda connector: connector.provider):
            row = KnownConnector(
                application_id=ctx.application_id,
                provider=connector.provider,
                scope=list(connector.scope),
                active_credential_id=connector.active_credential_id,
                seen_at=now,
            )
            await insert_new(session, KnownConnector, [row.model_dump()], returning="provider")
            ours = (col(KnownConnector.application_id) == ctx.application_id) & (
                col(KnownConnector.provider) == connector.provider
            )
            facts = row.model_dump(include={"scope", "active_credential_id", "seen_at"})
            await session.execute(update(KnownConnector).where(ours).values(facts))
        gone = col(KnownConnector.provider).not_in([connector.provider for connector in told.data])
        await session.execute(
            delete(KnownConnector).where(col(KnownConnector.application_id) == ctx.application_id, gone)
        )


def by_its_own_credential() -> ColumnElement[bool]:
    """The grants that can be renewed without their users, in SQL.

    A credential that is merely the connector's active one is its OAuth client: by that, a user signs in.
    """
    the_connectors = exists().where(
        col(KnownConnector.application_id) == col(Grant.application_id),
        col(KnownConnector.provider) == col(Grant.provider),
        col(KnownConnector.active_credential_id) == col(Grant.credential_id),
    )
    return col(Grant.credential_id).is_not(None) & ~the_connectors


async def known_connectors(ctx: Context, session: AsyncSession) -> dict[str, KnownConnector]:
    """Read the connectors that we know, by provider; none before the first sync."""
    wanted = select(KnownConnector).where(col(KnownConnector.application_id) == ctx.application_id)
    return {connector.provider: connector for connector in await session.scalars(wanted)}
