"""The API's re-authentication links: given out for one grant, and revoked."""

from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from ingress.api.grants import Actor, GrantId, alive, known
from ingress.api.problems import Problem
from ingress.api.reach import Reached
from models import ReauthLink
from tasks.links import LinkStatus, NotRenewable, mint, revoke, status_of

router = APIRouter(tags=["links"])


class LinkShape(BaseModel):
    """A link by which the user of one grant signs in again."""

    link_id: UUID
    grant_id: str
    url: str = Field(description="For the grant's user alone: whoever has it can renew the grant, once.")
    created_at: datetime
    expires_at: datetime


@router.post("/grants/{grant_id}/links", status_code=HTTPStatus.CREATED)
async def give_out_link(front: Reached, caller: Actor, grant_id: GrantId) -> LinkShape:
    """Make a link by which the grant's user signs in again. Its address is shown here, and never again."""
    async with front.context.database.writing() as session:
        grant = await known(front, session, grant_id)
        alive(grant)
        by = f"token {caller.name}"[:64]
        try:
            link, url = await mint(front.context, session, grant, created_by=by, now=front.now())
        except NotRenewable as error:
            raise Problem(HTTPStatus.CONFLICT, "not_renewable", f"No link renews this grant: {error}.") from None
    return LinkShape(
        link_id=link.id, grant_id=grant.id, url=url, created_at=link.created_at, expires_at=link.expires_at
    )


@router.delete("/links/{link_id}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_link(front: Reached, caller: Actor, link_id: UUID) -> Response:
    """Revoke a link: it is worth nothing from now on. Doing so again changes nothing."""
    async with front.context.database.writing() as session:
        link = await session.get(ReauthLink, link_id)
        if link is None or link.application_id != front.application_id:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_link", "No link has this id.")
        if status_of(link, now=front.now()) is LinkStatus.SPENT:
            detail = "The link was spent already: its user has signed in."
            raise Problem(HTTPStatus.CONFLICT, "link_spent", detail)
        await revoke(session, [link_id], now=front.now())
    return Response(status_code=HTTPStatus.NO_CONTENT)
