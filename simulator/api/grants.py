"""The grants API: list, read, patch, delete."""

from collections.abc import Callable
from itertools import islice

from simulator.answers import Answer, RefusedError, bad_request, data, refused, usual
from simulator.api.custom_auth import check_not_blocked, check_with_provider
from simulator.asked import Asked
from simulator.books import Grant
from simulator.people import KNOWN_BY_ALIAS, aliases_of
from simulator.state import State
from simulator.timeline import Timeline


async def list_grants(state: State, asked: Asked) -> Answer:
    """Return one page. There is no total: a page shorter than its limit is the last."""
    state.books.clear_out()
    limit, offset = asked.page()
    sort_by = asked.choice("sort_by", "created_at", "updated_at")
    newest_first = asked.choice("order_by", "desc", "asc") == "desc"
    since = asked.whole("since", 0) if "since" in asked.query else None
    before = asked.whole("before", 0) if "before" in asked.query else None
    timeline, fits = state.books.timelines[sort_by], _filters(asked)
    if asked.query.get("provider") and (lag := state.limits.provider_filter_lag_s):
        fits += _created(None, state.now() - lag)

    found = _looked_up(state, asked, timeline, newest_first=newest_first)
    if found is None and (status := asked.query.get("grant_status")):
        fits.append(lambda grant: grant.grant_status == status)
    # since and before are about created_at, whatever the list is sorted by.
    if found is not None or sort_by != "created_at":
        fits += _created(since, before)
        since = before = None
    skip = 0 if fits else offset
    walk = (
        timeline.walk(since=since, before=before, newest_first=newest_first, skip=skip)
        if found is None
        else found[skip:]
    )
    fitting = (grant for grant in walk if all(fit(grant) for fit in fits))
    return _page(list(islice(fitting, offset - skip, offset - skip + limit)), limit, offset)


async def get_grant(state: State, asked: Asked) -> Answer:
    """Return one grant; its other addresses only if they are asked for."""
    grant = _grant(state, asked)
    shown = grant.view()
    if asked.flag("expose_aliases") and grant.provider in KNOWN_BY_ALIAS:
        shown["email_aliases"] = aliases_of(grant.email)
    return data(shown)


async def get_own_grant(state: State, asked: Asked) -> Answer:
    """Return the grant whose access token the caller shows, in place of the API key."""
    grant = state.tokens.grant_of(asked.bearer, state.books)
    if grant is None:
        raise RefusedError(usual(401))
    check_not_blocked(grant)
    return data(grant.view())


async def patch_grant(state: State, asked: Asked) -> Answer:
    """Replace settings or scope whole; fresh credentials are tried, and make the grant valid again."""
    grant, sent = _grant(state, asked), asked.body()
    settings, scope = sent.get("settings"), sent.get("scope")
    if not isinstance(settings, dict | None) or not isinstance(scope, list | None):
        raise bad_request("settings must be an object and scope a list")
    check_not_blocked(grant)
    if settings is not None:
        connector = state.connectors.by_provider.get(grant.provider)
        if connector is None:
            raise bad_request(f"this application has no connector for {grant.provider}")
        check_with_provider(state, connector, settings)
        grant.settings = settings
        grant.credential_id = settings.get("credential_id", grant.credential_id)
        state.books.touch(grant)
    if scope is not None:
        grant.scope = scope
    state.tell("grant.updated", grant)
    return data(grant.view())


async def delete_grant(state: State, asked: Asked) -> Answer:
    """Delete for good; a second time there is nothing to delete."""
    grant = _grant(state, asked)
    state.books.delete(grant)
    state.tell("grant.deleted", grant)
    return Answer({})


def _grant(state: State, asked: Asked) -> Grant:
    grant = state.books.find(asked.ref)
    if grant is None:
        raise refused(404, "grant.not_found", "Grant not found.")
    return grant


def _page(grants: list[Grant], limit: int, offset: int) -> Answer:
    return data([grant.view() for grant in grants], limit=limit, offset=offset)


def _looked_up(state: State, asked: Asked, timeline: Timeline, *, newest_first: bool) -> list[Grant] | None:
    """Return those of the address, the accounts or the status that are asked for, if that takes no walk past others."""
    books, status = state.books, asked.query.get("grant_status")
    if email := asked.query.get("email"):
        named = [books.by_email.get(email.lower())]
    elif accounts := _accounts(asked):
        named = [books.by_account.get(account) for account in accounts]
    else:
        return books.ailing.in_order(timeline, newest_first=newest_first) if status == "invalid" else None
    standing = [grant for grant in named if grant and (not status or grant.grant_status == status)]
    return timeline.sort(standing, newest_first=newest_first)


def _accounts(asked: Asked) -> set[str]:
    """Return the v2 account ids that are asked for: one, or several with commas between them."""
    named = ",".join(asked.query.get(name, "") for name in ("account_id", "account_ids"))
    return {account for account in named.split(",") if account}


def _created(since: int | None, before: int | None) -> list[Callable[[Grant], bool]]:
    fits: list[Callable[[Grant], bool]] = []
    if since is not None:
        fits.append(lambda grant: grant.created_at >= since)
    if before is not None:
        fits.append(lambda grant: grant.created_at <= before)
    return fits


def _filters(asked: Asked) -> list[Callable[[Grant], bool]]:
    fits: list[Callable[[Grant], bool]] = []
    if provider := asked.query.get("provider"):
        fits.append(lambda grant: grant.provider == provider)
    if ip := asked.query.get("ip"):
        fits.append(lambda grant: grant.ip == ip)
    if workspace := asked.query.get("workspace_id"):
        fits.append(lambda grant: grant.workspace_id == workspace)
    if accounts := _accounts(asked):
        fits.append(lambda grant: grant.account_id in accounts)
    return fits
