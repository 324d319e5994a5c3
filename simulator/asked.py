"""What was asked: one request, with its body read once, whichever way it was written."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

from aiohttp import web

from simulator.answers import Answer, Json, bad_request, refused

if TYPE_CHECKING:
    from simulator.state import State

FORM = "application/x-www-form-urlencoded"
MOST = 200

Handler: TypeAlias = "Callable[[State, Asked], Awaitable[Answer]]"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and what came in its body; `sent` is None if that was no JSON object."""

    request: web.Request
    sent: Json | None

    @property
    def query(self) -> Mapping[str, str]:
        """The query; of a repeated parameter the first counts."""
        return self.request.query

    @property
    def ref(self) -> str:
        """The id in the path, in whichever form it was given."""
        return self.request.match_info.get("ref", "")

    @property
    def provider(self) -> str:
        """The provider in the path, which is a connector's key."""
        return self.request.match_info.get("provider", "")

    @property
    def bearer(self) -> str:
        """The key or token that the caller shows, or nothing."""
        scheme, _, key = self.request.headers.get("Authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""

    def body(self) -> Json:
        """Return the body, or refuse."""
        if self.sent is None:
            raise refused(400, "api.invalid_request_payload", "Invalid JSON payload format.")
        return self.sent

    def whole(self, name: str, default: int) -> int:
        """Return a number of the query that may not be below zero, or refuse."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit()):
            raise bad_request(f"{name} must be a whole number")
        return int(text)

    def page(self) -> tuple[int, int]:
        """Return limit and offset of a list, or refuse."""
        limit = self.whole("limit", 10)
        if not 1 <= limit <= MOST:
            raise bad_request(f"limit must be between 1 and {MOST}")
        return limit, self.whole("offset", 0)

    def flag(self, name: str) -> bool:
        """Return a parameter of the query that is true or false, and false if it is not there; or refuse.

        Nylas' Python SDK writes it as Python does: `True`.
        """
        return one_of(self.query.get(name, "false").lower(), "false", "true") == "true"

    def choice(self, name: str, *choices: str) -> str:
        """Return a parameter of the query that must be one of these; the first is the default."""
        return one_of(self.query.get(name, choices[0]), *choices)


async def ask(request: web.Request) -> Asked:
    """Read the whole request.

    Whoever types `curl -d '{…}'` sends JSON and calls it a form; we take the hint from the brace.
    """
    raw = await request.read() if request.can_read_body else b""
    if not raw:
        return Asked(request, {})
    try:
        if request.content_type == FORM and not raw.lstrip().startswith(b"{"):
            return Asked(request, dict(parse_qsl(raw.decode(), keep_blank_values=True)))
        sent = json.loads(raw)
    except ValueError:
        sent = None
    return Asked(request, sent if isinstance(sent, dict) else None)


def one_of(value: object, *choices: str) -> str:
    """Return the value if it is one of the choices, or refuse."""
    if isinstance(value, str) and value in choices:
        return value
    raise bad_request(f"{value!r} is none of {', '.join(choices)}")
