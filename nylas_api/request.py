"""A request that we make of Nylas, as a value that nobody has sent yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

T_co = TypeVar("T_co", covariant=True)

Group = Literal["applications", "authentication", "connectors", "grants", "webhooks", "detect"]
"""The API groups that Nylas limits apart from each other (Nylas: "API and provider rate limits")."""

MOST_PER_PAGE = 200

_LONGEST_STEP = 320  # an email address, which Nylas takes in place of a grant's id, gets no longer


@dataclass(frozen=True)
class Request(Generic[T_co]):
    """One call, and how to read its answer.

    `read` takes the JSON of a success and raises ValueError if that is not the thing asked for.
    Whatever is in `secrets` is blotted out of every error, in case Nylas or a provider echoes it.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    group: Group
    read: Callable[[object], T_co]
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Mapping[str, object] | None = field(default=None, repr=False)
    repeatable: bool = True
    """Whether doing it twice is as good as doing it once, so that a lost answer is no reason to stop."""
    spends_a_code: bool = False
    """Whether it uses up an OAuth code: then it goes out once, whatever happens, and a 400 speaks of the code."""
    about: Literal["application", "grant", "account"] = "application"
    """What a refusal may speak of: a 404 of one grant; a 401 of it, or of an account at its provider."""
    authorized: bool = True
    access_token: str | None = field(default=None, repr=False)
    """What goes in place of the API key."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def changes(self) -> bool:
        """Whether it may change something, so that it is not the same whether Nylas is at work on it once or twice."""
        return self.method != "GET"

    @property
    def hangs_on_the_key(self) -> bool:
        """Whether a 401 may speak of the API key."""
        return self.authorized and self.access_token is None


def step(what: str, value: str) -> str:
    """Quote one step of a path; ValueError for a value that is none, so that no id can leave its place."""
    if value in ("", ".", "..") or len(value) > _LONGEST_STEP:
        raise ValueError(f"not a {what}: {value[:_LONGEST_STEP]!r}")
    return quote(value, safe="")


def page_of(limit: int, offset: int) -> dict[str, str]:
    """Ask for one page; ValueError for one that Nylas doesn't have."""
    if not 1 <= limit <= MOST_PER_PAGE or offset < 0:
        raise ValueError(f"no such page: limit {limit} (1 to {MOST_PER_PAGE}), offset {offset}")
    return {"limit": str(limit), "offset": str(offset)}


def given(**values: object) -> dict[str, str]:
    """Write the parameters of a query that have a value: times as unix seconds, flags as Nylas spells them.

    Raises ValueError for a time without its zone.
    """
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime(tzinfo=None):
            raise ValueError("a time without its zone")
        case datetime():
            return str(int(value.timestamp()))
        case _:
            return str(value)
