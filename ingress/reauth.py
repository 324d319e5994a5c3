"""`/reauth/{token}`: the door by which the user of one grant comes back."""

import asyncio

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from ingress import pages
from ingress.departure import Errand, depart
from ingress.front import Front
from lifecycle import GrantStatus
from models import CampaignItem, Grant, KnownConnector, Outcome, ReauthLink
from tasks import links
from tasks.links import LinkStatus, connector_of

log = structlog.get_logger()

WAITS_FOR_DATABASE = 4.0


async def reauth(request: Request) -> Response:
    """Open a link: send the user to Nylas, to renew the one grant that the link is for.

    It may be opened often, also by a scanner of mail: nothing is spent by it. A link that is not good for anything
    says so, and tells nothing else.
    """
    front: Front = request.app.state.front
    try:
        async with asyncio.timeout(WAITS_FOR_DATABASE), front.context.database.writing() as session:
            link = await links.read(front.context, session, request.path_params["token"])
            return await _opened(front, session, request, link) if link else pages.unknown_link()
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        log.error("reauth.not_opened", error=type(error).__name__)
        return pages.unavailable()


async def _opened(front: Front, session: AsyncSession, request: Request, link: ReauthLink) -> Response:
    status = links.status_of(link, now=front.now())
    if status is LinkStatus.SPENT:
        return pages.already_connected()
    grant = await session.get(Grant, link.grant_id)
    if status is not LinkStatus.OPEN or grant is None or grant.status is GrantStatus.DELETED:
        return pages.closed_link()
    if request.method == "HEAD":
        return pages.ready_link()
    link.opened_at = link.opened_at or front.now()
    return await depart(front, session, request, await _errand(session, link, grant))


async def _errand(session: AsyncSession, link: ReauthLink, grant: Grant) -> Errand:
    connector = await connector_of(session, grant)
    return Errand(
        provider=grant.provider,
        login_hint=grant.email,
        scope=connector.scope if connector else (),
        credential_id=await _client_of(session, grant, connector),
        wanted_grant_id=grant.id,
        wanted_user_id=grant.provider_user_id,
        link_id=link.id,
    )


async def _client_of(session: AsyncSession, grant: Grant, connector: KnownConnector | None) -> str | None:
    """Return the credential that names the OAuth client to sign in at, if that is not the connector's own.

    Nylas doesn't tell what kind of credential one is. By one that has renewed this grant without its user, in bulk,
    nobody signs in.
    """
    if grant.credential_id is None or (connector and connector.active_credential_id == grant.credential_id):
        return None
    in_bulk = select(col(CampaignItem.id)).where(
        col(CampaignItem.grant_id) == grant.id,
        col(CampaignItem.outcome) == Outcome.DONE,
        col(CampaignItem.request_id).is_not(None),
    )
    return None if (await session.scalars(in_bulk.limit(1))).first() else grant.credential_id
