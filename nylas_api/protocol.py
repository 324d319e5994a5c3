"""The requests that we make of Nylas, as values that nobody has sent yet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote

from nylas_api.answers import GrantPage, NylasGrant, TokenAnswer, read_grant, read_page, read_token

T = TypeVar("T")

AUTHENTICATION = "authentication"
GRANTS = "grants"

MOST_PER_PAGE = 200

_LONGEST_ID = 320  # an email address, which Nylas takes in place of an id, gets no longer

_SAYABLE = {"type", "provider", "credential_id", "scope", "scopes"} | {
    f"{protocol}_{part}" for protocol in ("imap", "smtp", "ews") for part in ("host", "port")
}


@dataclass(frozen=True)
class Request(Generic[T]):
    """One call, and how to read its answer.

    `group` is the API group whose rate limit it counts against; `read` takes the JSON of a success
    and raises ValueError if that is not the thing asked for. Whatever is in `secrets` is blotted out
    of every error, in case Nylas or a provider echoes it.
    """

    method: Literal["GET", "POST"]
    path: str
    group: str
    read: Callable[[object], T]
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Mapping[str, object] | None = field(default=None, repr=False)
    authorized: bool = True
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_about_one_grant(self) -> bool:
        """Whether a 404 would speak of a grant."""
        return self.path.startswith("/v3/grants/")

    @property
    def spends_a_code(self) -> bool:
        """Whether a 400 would speak of an OAuth code."""
        return self.path == "/v3/connect/token"


class GrantFilters(TypedDict, total=False):
    """Which grants to list, and in which order (Nylas: GET /v3/grants).

    `since` and `before` compare the time of *creation*, both inclusive; to find grants that were
    re-authenticated lately, sort by `updated_at` instead. The `provider` filter lags behind by a
    minute or so for new grants.
    """

    sort_by: Literal["created_at", "updated_at"]
    order_by: Literal["asc", "desc"]
    email: str | None
    grant_status: str | None
    provider: str | None
    since: datetime | None
    before: datetime | None


def exchange_code(
    *, client_id: str, api_key: str, code: str, redirect_uri: str, code_verifier: str | None
) -> Request[TokenAnswer]:
    """Exchange an OAuth code for a grant. The client secret that Nylas asks for *is* the API key."""
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "client_secret": api_key,
        "code": code,
        "redirect_uri": redirect_uri,
    }
    if code_verifier is not None:
        form["code_verifier"] = code_verifier
    secrets = (api_key, code, code_verifier or "")
    return Request(
        "POST", "/v3/connect/token", AUTHENTICATION, read_token, json=form, authorized=False, secrets=secrets
    )


def custom_auth(
    *, provider: str, settings: Mapping[str, object], state: str | None, scope: Sequence[str]
) -> Request[NylasGrant]:
    """Authenticate with credentials that we hold ourselves."""
    body: dict[str, object] = {"provider": provider, "settings": settings}
    if state is not None:
        body["state"] = state
    if scope:
        body["scope"] = list(scope)
    secrets = tuple(_unsayable(settings))
    return Request("POST", "/v3/connect/custom", AUTHENTICATION, read_grant, json=body, secrets=secrets)


def get_grant(grant_id: str) -> Request[NylasGrant]:
    """Look at one grant; ValueError for an id that is no single step of a path."""
    if grant_id in ("", ".", "..") or len(grant_id) > _LONGEST_ID:
        raise ValueError(f"not a grant id: {grant_id[:_LONGEST_ID]!r}")
    return Request("GET", f"/v3/grants/{quote(grant_id, safe='')}", GRANTS, read_grant)


def list_grants(limit: int, offset: int, **filters: Unpack[GrantFilters]) -> Request[GrantPage]:
    """Look at one page of the grants; ValueError for a limit, an offset or a time that Nylas cannot take."""
    if not 1 <= limit <= MOST_PER_PAGE or offset < 0:
        raise ValueError(f"no such page: limit {limit} (1 to {MOST_PER_PAGE}), offset {offset}")
    query = {
        "limit": str(limit),
        "offset": str(offset),
        "sort_by": filters.get("sort_by", "created_at"),
        "order_by": filters.get("order_by", "asc"),
        "email": filters.get("email"),
        "grant_status": filters.get("grant_status"),
        "provider": filters.get("provider"),
        "since": _unix(filters.get("since")),
        "before": _unix(filters.get("before")),
    }
    given = {name: value for name, value in query.items() if value is not None}
    return Request("GET", "/v3/grants", GRANTS, read_page, params=given)


def _unix(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return str(int(moment.timestamp()))


def _unsayable(settings: object) -> Iterator[str]:
    """Find every text in the settings that might be a credential; in doubt, it is one."""
    match settings:
        case str():
            yield settings
        case Mapping():
            for name, value in settings.items():
                if name not in _SAYABLE:
                    yield from _unsayable(value)
        case list() | tuple():
            for value in settings:
                yield from _unsayable(value)
