"""The API's grants: listed, shown, explained, and told where their users are reached."""

import json
from http import HTTPStatus
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from ingress.api.bearer import Caller, needs
from ingress.api.paging import Page, PageQuery, Text, page
from ingress.api.problems import Problem
from ingress.api.reach import Reached
from ingress.api.scopes import TokenScope
from ingress.api.shapes import GrantShape, LineShape, Timeline
from ingress.front import Front
from ingress.story.whole import story
from lifecycle import GrantStatus
from models import EventData, Grant, Outcome
from models.claims import close
from models.columns import new_id
from models.inbox import receive, told
from models.kinds import GRANT_EDITED

router = APIRouter(tags=["grants"])

GrantId = Annotated[str, Path(max_length=128, pattern=r"^[!-~]+$", description="Nylas' id of the grant.")]
Reader = Depends(needs(TokenScope.READ))
Actor = Annotated[Caller, Depends(needs(TokenScope.GRANTS))]


class GrantQuery(PageQuery):
    """Which grants are wanted."""

    status: GrantStatus | None = None
    provider: Annotated[Text | None, Field(description="`google`, `microsoft`, …")] = None
    email: Annotated[Text | None, Field(description="The whole address, in whatever case.")] = None


class Reachability(BaseModel):
    """Where the user of a grant is told, and when not. Both are replaced; null takes one away."""

    model_config = ConfigDict(extra="forbid", strict=True)

    contact: Annotated[Text | None, Field(description="An email address that is not the mailbox itself.")]
    zone: Annotated[Text | None, Field(description="An IANA time zone, for quiet hours: `Europe/Berlin`.")]

    @field_validator("contact")
    @classmethod
    def _is_an_address(cls, contact: str | None) -> str | None:
        if contact is not None:
            name, at, domain = contact.rpartition("@")
            if not (name and at and domain) or any(part.isspace() for part in contact):
                raise ValueError("must be an email address")
        return contact

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str | None) -> str | None:
        try:
            return ZoneInfo(zone).key if zone is not None else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be an IANA time zone such as Europe/Berlin") from None


@router.get("/grants", dependencies=[Reader])
async def list_grants(front: Reached, query: Annotated[GrantQuery, Query()]) -> Page[GrantShape]:
    """List grants, by their ids."""
    wanted = select(Grant).where(col(Grant.application_id) == front.application_id)
    if query.status:
        wanted = wanted.where(col(Grant.status) == query.status)
    if query.provider:
        wanted = wanted.where(col(Grant.provider) == query.provider)
    if query.email:
        # By the address first, so that the database goes by that, not along all ids; what matches is the same.
        lower = func.lower(col(Grant.email))
        wanted = wanted.where(lower == query.email.lower()).order_by(lower)
    if after := query.after:
        wanted = wanted.where(col(Grant.id) > after)
    async with front.context.database.reading() as session:
        found = (await session.scalars(wanted.order_by(col(Grant.id)).limit(query.limit + 1))).all()
    return page(found, query.limit, GrantShape.of, lambda grant: grant.id)


@router.get("/grants/{grant_id}", dependencies=[Reader])
async def show_grant(front: Reached, grant_id: GrantId) -> GrantShape:
    """Show a grant."""
    async with front.context.database.reading() as session:
        return GrantShape.of(await known(front, session, grant_id))


@router.get("/grants/{grant_id}/timeline", dependencies=[Reader])
async def explain_grant(front: Reached, grant_id: GrantId) -> Timeline:
    """Tell why a grant is as it is: all that happened to it, oldest first, in plain words."""
    async with front.context.database.reading() as session:
        grant = await known(front, session, grant_id)
        lines = await story(session, grant, now=front.now())
    return Timeline(grant=GrantShape.of(grant), data=[LineShape.of(line) for line in lines])


@router.put("/grants/{grant_id}")
async def edit_grant(front: Reached, caller: Actor, grant_id: GrantId, body: Reachability) -> GrantShape:
    """Say where the user of a grant is told, and in which time zone. Both are replaced; its story tells of it."""
    async with front.context.database.writing() as session:
        grant = await known(front, session, grant_id, lock=True)
        alive(grant)
        if body.contact and grant.email and body.contact.casefold() == grant.email.casefold():
            detail = "body.contact: must not be the mailbox itself, which does not work when its user has to be told."
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "contact_is_the_mailbox", detail)
        changed = [name for name in ("contact", "zone") if getattr(grant, name) != getattr(body, name)]
        grant.contact, grant.zone = body.contact, body.zone
        if changed:
            await receive(session, [_trace(front, grant, changed, caller)])
    return GrantShape.of(grant)


async def known(front: Front, session: AsyncSession, grant_id: str, *, lock: bool = False) -> Grant:
    """Find a grant. Raises Problem (404)."""
    wanted = select(Grant).where(col(Grant.id) == grant_id, col(Grant.application_id) == front.application_id)
    grant = (await session.scalars(wanted.with_for_update() if lock else wanted)).one_or_none()
    if grant is None:
        detail = "No grant has this id. A new one becomes known by Nylas' webhook, or by evergrant sync."
        raise Problem(HTTPStatus.NOT_FOUND, "unknown_grant", detail)
    return grant


def alive(grant: Grant) -> None:
    """Raise Problem (409) for a grant that was deleted: nothing can be done about it."""
    if grant.status is GrantStatus.DELETED:
        detail = "The grant was deleted at Nylas, for good. Its user has to connect anew."
        raise Problem(HTTPStatus.CONFLICT, "grant_deleted", detail)


def _trace(front: Front, grant: Grant, changed: list[str], caller: Caller) -> EventData:
    """Make the row that says who edited what; not to which values, since those are in the grant's row alone."""
    now = front.now()
    trace = told(
        GRANT_EDITED,
        f"edit:{new_id()}",
        application_id=front.application_id,
        source="api",
        now=now,
        raw=json.dumps({"by": caller.name, "changed": changed}).encode(),
        grant_id=grant.id,
    )
    close(trace, Outcome.DONE, now=now, reason=f"its {' and '.join(changed)} changed, by token {caller.name}")
    return trace
