"""The API's reports: the product saw a grant fail, and Evergrant is to look."""

import asyncio
import hashlib
import json
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.api.grants import Actor, GrantId, alive, known
from ingress.api.paging import Text
from ingress.api.problems import AGAIN_IN, Problem
from ingress.api.reach import Reached
from ingress.front import Front
from ingress.intake import NotStored
from models import Event
from models.arrivals import Arrival
from models.kinds import GRANT_REPORTED

router = APIRouter(tags=["grants"])

ONE_LOOK_IN = timedelta(minutes=1)


class Report(BaseModel):
    """What the product saw: Nylas refused a call for this grant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Annotated[Literal[401, 403], Field(description="The status that Nylas answered with.")]
    occurred_at: Annotated[
        AwareDatetime | None, Field(strict=False, description="When; now, unless told. ISO 8601 with its offset.")
    ] = None
    request_id: Annotated[Text | None, Field(max_length=128, description="The `request_id` in Nylas' answer.")] = None
    detail: Annotated[Text | None, Field(description="What is worth knowing, for a human. No secrets.")] = None


class Accepted(BaseModel):
    """The report is kept, and will be dealt with."""

    event_id: UUID
    repeated: bool = Field(description="One of the same grant is kept already; one look answers both.")


class Reports:
    """The reports that are being stored now, by grant: who reports the same at the same time waits for the first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._storing: dict[str, asyncio.Task[tuple[UUID, bool]]] = {}

    async def keep(self, front: Front, grant_id: str, report: Report, by: str) -> Accepted:
        """Keep a report, or find the one that it repeats. Raises Problem, and NotStored."""
        storing = self._storing.get(grant_id)
        first = storing is None
        if storing is None:
            storing = self._storing[grant_id] = asyncio.create_task(_keep(front, grant_id, report, by))
            storing.add_done_callback(lambda done: self._end(grant_id, done))
        event_id, new = await asyncio.shield(storing)
        return Accepted(event_id=event_id, repeated=not (first and new))

    def _end(self, grant_id: str, done: "asyncio.Task[tuple[UUID, bool]]") -> None:
        del self._storing[grant_id]
        if not done.cancelled():
            done.exception()  # nobody may be left who waits for it


@router.post("/grants/{grant_id}/reports", status_code=HTTPStatus.ACCEPTED)
async def report_failure(front: Reached, caller: Actor, grant_id: GrantId, body: Report, request: Request) -> Accepted:
    """Report that a grant fails. It is only a reason to look: Nylas' own answer says how the grant stands.

    Answered after the commit. Of one grant, the reports within a minute are one, and so are those that come before
    the first was dealt with: a thousand failures are one look.
    """
    reports: Reports = request.app.state.reports
    try:
        return await reports.keep(front, grant_id, body, caller.name)
    except NotStored as error:
        detail = f"The report could not be stored: {error}. Send it again in a few seconds."
        says = {"Retry-After": AGAIN_IN}
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, headers=says) from None


async def _keep(front: Front, grant_id: str, report: Report, by: str) -> tuple[UUID, bool]:
    """Store a report; return the id of the event that stands for it, and whether that is new."""
    async with front.context.database.reading() as session:
        alive(await known(front, session, grant_id))
        last = await _last(session, grant_id)
    now = front.now()
    if last and (last.settled_at is None or now - last.received_at < ONE_LOOK_IN):
        return last.id, False
    # Whoever saw the same last report makes the same key: of reports to several processes one is stored.
    follows = f"{front.application_id}:{grant_id}:{last.id if last else ''}"
    event = Arrival(
        application_id=front.application_id,
        kind=GRANT_REPORTED,
        key=f"report:{hashlib.sha256(follows.encode()).hexdigest()}",
        source="api",
        received_at=now,
        raw=json.dumps({"by": by, **report.model_dump(mode="json", exclude_none=True)}).encode(),
        grant_id=grant_id,
        occurred_at=min(report.occurred_at or now, now),
    )
    if await front.intake.store(event):
        return event.id, True
    async with front.context.database.reading() as session:
        last = await _last(session, grant_id)
    return last.id if last else event.id, False


async def _last(session: AsyncSession, grant_id: str) -> Event | None:
    wanted = select(Event).where(col(Event.grant_id) == grant_id, col(Event.kind) == GRANT_REPORTED)
    return (await session.scalars(wanted.order_by(col(Event.id).desc()).limit(1))).first()
