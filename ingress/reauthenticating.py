"""The commands that re-authenticate grants."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ingress.campaign_plans import plan
from ingress.campaigns import start, watch
from ingress.grant_lists import find_grant
from ingress.reauth_by_list import by_list
from ingress.reauth_links import show_link
from ingress.terminal import agree, fail, out, say
from lifecycle import GrantStatus
from models import CampaignStatus
from tasks.campaigns.choosing import GrantFilter
from tasks.campaigns.requests import CampaignRequest
from tasks.links import connector_of
from worker.runtime import Runtime

OPTIONS = {"credential_id": "credential"}
TIMES = ("expired_since", "expired_before")


async def reauth(
    runtime: Runtime,
    filters: Mapping[str, Any],
    manner: Mapping[str, Any],
    *,
    list_path: str | None,
    dry_run: bool,
    yes: bool,
    wait: bool,
) -> None:
    """Plan a campaign, ask, start it, and watch it. Exits with 1 if some grants, or lines of a list, could not be."""
    request = _request(filters, manner)
    if list_path is not None:
        if given := [name for name, value in filters.items() if value is not None]:
            fail(f"--list names the grants: leave {_option(given[0])} out.", code=2)
        campaign, left_out = await by_list(runtime, list_path, request, dry_run=dry_run, yes=yes)
        if campaign:
            await _go(runtime, campaign.id, wait=wait)
        if left_out:
            raise typer.Exit(1)
        return
    planned = await plan(runtime.context, request)
    say(planned.in_words(budget=runtime.settings.nylas_rate, rate=request.rate))
    if dry_run or not planned.matching:
        return
    agree("Start?", yes=yes)
    await _go(runtime, (await start(runtime.context, request)).id, wait=wait)


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
        campaign = await start(runtime.context, CampaignRequest(filter=GrantFilter(grant_id=grant.id)))
        await _go(runtime, campaign.id, wait=wait)
    else:
        say("Its user has to sign in again, by this link.")
        await show_link(runtime, grant)


async def _go(runtime: Runtime, campaign_id: UUID, *, wait: bool) -> None:
    out.print(str(campaign_id))
    if not wait:
        return
    standing = await watch(runtime.context, campaign_id)
    say(standing.in_words())
    if standing.only_waits:
        say("It goes on until the users who were asked have signed in. (evergrant campaigns show)")
    elif standing.status is not CampaignStatus.FINISHED:
        say(f"It is {standing.status.value}: {standing.reason}. (evergrant campaigns resume {campaign_id})")
    if standing.failed or standing.status is CampaignStatus.STOPPED:
        say(f"What failed, and why: evergrant campaigns show {campaign_id}")
        raise typer.Exit(1)


def _request(filters: Mapping[str, Any], manner: Mapping[str, Any]) -> CampaignRequest:
    """Make the request of the options that were given; exits with 2 if one can't be right."""
    given = {name: value for name, value in filters.items() if value is not None}
    given |= {name: _time(name, given[name]) for name in TIMES if name in given}
    how = {name: value for name, value in manner.items() if value is not None}
    try:
        return CampaignRequest.model_validate({"filter": given, **how})
    except ValidationError as error:
        fail("; ".join(map(_refused, error.errors())), code=2)


def _time(name: str, text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{_option(name)}: a time such as 2026-03-01 or 2026-03-01T12:00+01:00 is wanted", code=2)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _refused(problem: ErrorDetails) -> str:
    return f"{_option(str(problem['loc'][-1]))}: {problem['msg'].removeprefix('Value error, ')}"


def _option(field: str) -> str:
    return "--" + OPTIONS.get(field, field).replace("_", "-")
