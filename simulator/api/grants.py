"""The grants API: list, read, patch, delete."""

from collections.abc import Callable
from itertools import islice

from simulator.answers import Answer, bad_request, data, refused
from simulator.api.custom_auth import check_with_provider
from simulator.asked import Asked
from simulator.books import Grant
from simulator.state import State

MOST = 200


async def list_grants(state: State, asked: Asked) -> Answer:
    """Return one page. There is no total: a page shorter than its limit is the last."""
    limit, offset = asked.whole("limit", 10), asked.whole("offset", 0)
    if not 1 <= limit <= MOST:
        raise bad_request(f"limit must be between 1 and {MOST}")
    sort_by = asked.choice("sort_by", "created_at", "updated_at")
    newest_first = asked.choice("order_by", "desc", "asc") == "desc"
    since = asked.whole("since", 0) if "since" in asked.query else None
    before = asked.whole("before", 0) if "before" in asked.query else None
    if email := asked.query.get("email"):
        found = state.books.by_email.get(email.lower())
        fits = _filters(asked, since, before)
        one = [found] if found and all(fit(found) for fit in fits) else []
        return _page(one[offset : offset + limit], limit, offset)

    # since and before are about created_at, whatever the list is sorted by.
    timeline = state.books.timelines[sort_by]
    by_creation = sort_by == "created_at"
    places = timeline.span(since, before) if by_creation else range(len(timeline.grants))
    places = places[::-1] if newest_first else places
    fits = _filters(asked, None, None) if by_creation else _filters(asked, since, before)
    if asked.query.get("provider") and (lag := state.limits.provider_filter_lag_s):
        fits += _filters(asked, None, state.now() - lag)
    if not fits:
        return _page([timeline.grants[place] for place in places[offset : offset + limit]], limit, offset)
    fitting = (grant for grant in map(timeline.grants.__getitem__, places) if all(fit(grant) for fit in fits))
    return _page(list(islice(fitting, offset, offset + limit)), limit, offset)


async def get_grant(state: State, asked: Asked) -> Answer:
    """Return one grant."""
    return data(_grant(state, asked).view())


async def patch_grant(state: State, asked: Asked) -> Answer:
    """Replace settings or scope whole; fresh credentials are tried, and make the grant valid again."""
    grant, sent = _grant(state, asked), asked.body()
    settings, scope = sent.get("settings"), sent.get("scope")
    if not isinstance(settings, dict | None) or not isinstance(scope, list | None):
        raise bad_request("settings must be an object and scope a list")
    if settings is not None:
        check_with_provider(state, settings)
        grant.settings = settings
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


def _filters(asked: Asked, since: int | None, before: int | None) -> list[Callable[[Grant], bool]]:
    fits: list[Callable[[Grant], bool]] = []
    if status := asked.query.get("grant_status"):
        fits.append(lambda grant: grant.grant_status == status)
    if provider := asked.query.get("provider"):
        fits.append(lambda grant: grant.provider == provider)
    if since is not None:
        fits.append(lambda grant: grant.created_at >= since)
    if before is not None:
        fits.append(lambda grant: grant.created_at <= before)
    return fits
