"""The commands that re-authenticate grants."""

from collections.abc import Mapping

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ingress.campaigns import Standing, plan, start, watch
from ingress.grant_lists import find_grant
from ingress.reauth_links import show_link
from ingress.terminal import agree, fail, out, say
from lifecycle import GrantStatus
from models import Outcome
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.requests import CampaignRequest
from tasks.links import connector_of
from worker.runtime import Runtime


async def reauth(runtime: Runtime, filters: Mapping[str, str | None], *, dry_run: bool, yes: bool, wait: bool) -> None:
    """Plan a campaign, ask, start it, and watch it. Exits with 1 if some grants could not be renewed."""
    try:
        request = CampaignRequest(filter=GrantFilter.model_validate(filters))
    except ValidationError as error:
        fail("; ".join(map(_refused, error.errors())), code=2)
    planned = await plan(runtime, request)
    say(planned.in_words(budget=runtime.settings.nylas_rate, rate=request.rate))
    if dry_run or not planned.matching:
        return
    agree("Start?", yes=yes)
    await _go(runtime, request, wait=wait)


async def reauth_one(runtime: Runtime, name: str, *, wait: bool) -> None:
    """Renew one grant by its credential, or print the link by which its user does.

    A credential that is merely the connector's own OAuth client renews nothing: by that, its user signs in.
    """
    grant = await find_grant(runtime, name)
    if grant.status is GrantStatus.DELETED:
        fail("The grant was deleted: Nylas can't bring it back. Its user has to connect anew.")
    async with runtime.context.database.reading() as session:
        connector = await connector_of(session, grant)
    by_its_user = connector is not None and connector.active_credential_id == grant.credential_id
    if grant.credential_id and grant.email and not by_its_user:
        await _go(runtime, CampaignRequest(filter=GrantFilter(grant_id=grant.id)), wait=wait)
    else:
        say("Its user has to sign in again, by this link.")
        await show_link(runtime, grant)


async def _go(runtime: Runtime, request: CampaignRequest, *, wait: bool) -> None:
    campaign = await start(runtime, request)
    out.print(str(campaign.id))
    if not wait:
        return
    standing: Standing = await watch(runtime, campaign)
    say(standing.in_words())
    if any(standing.ended.get(bad) for bad in (Outcome.FAILED, Outcome.SET_ASIDE)):
        raise typer.Exit(1)


def _refused(problem: ErrorDetails) -> str:
    option = str(problem["loc"][0]).replace("_", "-")
    return f"--{option}: {problem['msg'].removeprefix('Value error, ')}"
