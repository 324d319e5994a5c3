"""The row of the Nylas application that the settings name."""

from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from models import Application
from models.columns import new_id
from models.database import Database
from models.inbox import insert_or_ignore
from models.sealing import Keyring, Unsealable
from worker.settings import Settings


async def ensure_application(database: Database, keys: Keyring, settings: Settings, *, now: datetime) -> Application:
    """Make the application's row, or bring it up to the settings. Every process does so when it starts."""
    wanted = {
        "api_key": settings.nylas_api_key.get_secret_value(),
        "webhook_secret": settings.nylas_webhook_secret.get_secret_value() if settings.nylas_webhook_secret else None,
    }
    ours = select(Application).where(col(Application.client_id) == settings.nylas_client_id)
    async with database.reading() as session:
        held = (await session.scalars(ours)).one_or_none()
    if held and held.api_uri == settings.nylas_api_uri and _secrets(keys, held) == wanted:
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
        keys.seal(fresh, "api_key", wanted["api_key"] or "")
        await session.execute(insert_or_ignore(session, Application), [fresh.model_dump()])
        row = (await session.scalars(ours.with_for_update())).one()
        row.api_uri, row.updated_at = settings.nylas_api_uri, now
        for column, secret in wanted.items():
            if secret is None:
                setattr(row, column, None)
            else:
                keys.seal(row, column, secret)
        return row


def _secrets(keys: Keyring, row: Application) -> dict[str, str | None] | None:
    """Read what the row holds, or None where it can't be opened (the keys were replaced: it is sealed anew)."""
    try:
        return {
            "api_key": keys.reveal(row, "api_key"),
            "webhook_secret": keys.reveal(row, "webhook_secret") if row.webhook_secret else None,
        }
    except Unsealable:
        return None
