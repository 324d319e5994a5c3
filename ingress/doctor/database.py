"""What the doctor asks the database: whether it is there, and migrated, and its work is being done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from ingress.at_nylas import our_grants
from ingress.doctor.findings import Finding, beware, well, wrong
from models import Application, CampaignItem, Event
from models.claims import open_at
from models.database import Database, async_url
from models.kinds import EVENT_KINDS
from models.migrations.standing import Standing, standing
from worker.settings import Settings

LATE = timedelta(minutes=1)


@dataclass(slots=True)
class Books:
    """What was found in the database that other checks need."""

    findings: list[Finding] = field(default_factory=list)
    providers: Mapping[str, int] | None = None
    """How many grants hang on each connector; None if that could not be asked."""
    holds_webhook_secret: bool = False


async def look_into(settings: Settings, *, now: datetime) -> Books:
    """Look into the database, without making one where there is none."""
    books = Books()
    if missing := _missing_file(settings):
        books.findings.append(wrong("database", f"{missing} is not there yet", "evergrant migrate"))
        return books
    database = Database(settings.database, pool_size=2, patience=timedelta(seconds=5))
    try:
        stands = await standing(database)
        books.findings.append(migrated(stands))
        if stands is not Standing.BEHIND:
            await _read(books, database, settings, now=now)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        said = (str(getattr(error, "orig", error)) or type(error).__name__).splitlines()[0][:200]
        fix = "is it running, and is EVERGRANT_DATABASE_URL right?"
        books.findings.append(wrong("database", f"does not answer as it should: {said}", fix))
    finally:
        await database.close()
    return books


def migrated(stands: Standing) -> Finding:
    """Whether the tables are those of this release."""
    if stands is Standing.CURRENT:
        return well("database", "it answers, and its tables are those of this release")
    if stands is Standing.AHEAD:
        return beware("database", "its tables are those of a newer release", "start all processes with that one")
    return wrong("database", "its tables are not those of this release", "evergrant migrate")


def work(oldest: datetime | None, *, now: datetime) -> Finding:
    """Whether rows are taken soon after they are due."""
    if oldest is None:
        return well("worker", "no row is due that nobody holds")
    late = now - oldest
    detail = f"the oldest row that is due has waited for {_span(late)}, and nobody holds it"
    if late < LATE:
        return well("worker", detail)
    return wrong("worker", detail, "is a worker running? evergrant worker (or evergrant up); then look at its log")


def webhook_secret(settings: Settings, *, is_held: bool) -> Finding:
    """Whether webhooks can be verified."""
    name = "EVERGRANT_NYLAS_WEBHOOK_SECRET"
    if settings.nylas_webhook_secret:
        number = len([part for part in settings.nylas_webhook_secret.get_secret_value().split(",") if part.strip()])
        if number > 1:
            return beware(
                "webhook secret", f"{number} are set", "take the old one out half an hour after it was replaced"
            )
        return well("webhook secret", "it is set")
    if is_held:
        return well("webhook secret", "it is not set here, and held in the database, as another process was told it")
    return wrong("webhook secret", "notifications get 503", f"set {name} (evergrant webhooks create tells it)")


async def _read(books: Books, database: Database, settings: Settings, *, now: datetime) -> None:
    async with database.reading() as session:
        ours = select(Application).where(col(Application.client_id) == settings.nylas_client_id)
        application = (await session.scalars(ours)).one_or_none()
        books.providers = {}
        if application:
            books.holds_webhook_secret = application.webhook_secret is not None
            books.providers = await our_grants.by_provider(database, application.id)
        events = select(func.min(col(Event.due_at))).where(open_at(Event, now), col(Event.kind).in_(EVENT_KINDS))
        items = select(func.min(col(CampaignItem.due_at))).where(open_at(CampaignItem, now))
        waiting = [due for due in (await session.scalar(events), await session.scalar(items)) if due]
    books.findings.append(work(min(waiting, default=None), now=now))


def _missing_file(settings: Settings) -> str | None:
    file = async_url(settings.database).database if settings.uses_sqlite else None
    return file if file and not Path(file).exists() else None


def _span(time: timedelta) -> str:
    seconds = max(0, int(time.total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
