"""The row of the Nylas application that the settings name."""

from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from models import Application
from models.columns import new_id
from models.database import Database
from models.inserting import insert_new
from models.sealing import Keyring, Unsealable
from worker.settings import Settings


async def ensure_application(database: Database, keys: Keyring, settings: Settings, *, now: datetime) -> Application:
    """Make the application's row, or bring it up to the settings. Every process does so when it starts.

    A secret that is not set here is left as it is: it may be set for another process.
    """
    told = {"api_key": settings.nylas_api_key, "webhook_secret": settings.nylas_webhook_secret}
    wanted = {column: secret.get_secret_value() for column, secret in told.items() if secret}
    ours = select(Application).where(col(Application.client_id) == settings.nylas_client_id)
    async with database.reading() as session:
        held = (await session.scalars(ours)).one_or_none()
    if held and held.api_uri == settings.nylas_api_uri and _holds(keys, held, wanted):
        return held
    async with database.writing() as session:
        fresh = Application(
            id=new_id(),
            client_id=settings.nylas_client_id,
            api_uri=settings.nylas_api_uri,
            api_key="",
            created_at=now,
            updated_at=now,
        )
        keys.seal(fresh, "api_key", wanted["api_key"])
        await insert_new(session, Application, [fresh.model_dump()])
        row = (await session.scalars(ours.with_for_update())).one()
        row.api_uri, row.updated_at = settings.nylas_api_uri, now
        for column, secret in wanted.items():
            keys.seal(row, column, secret)
        return row


def _holds(keys: Keyring, row: Application, wanted: dict[str, str]) -> bool:
    """Whether the row holds these secrets; one that can't be opened (the keys were replaced) is to be sealed anew."""
    try:
        return all(getattr(row, column) and keys.reveal(row, column) == secret for column, secret in wanted.items())
    except Unsealable:
        return False
