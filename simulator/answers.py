"""What Nylas answers: the envelope, the flat token answer, and its two kinds of error body."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

_AS_TEXT = json.JSONEncoder(separators=(",", ":")).encode
ERRORS_PAGE = "https://developer.nylas.com/docs/api/errors/"

USUAL_ERRORS = {
    400: ("api.invalid_request_error", "Bad request"),
    401: ("api.authentication_error", "Unauthorized"),
    403: ("grant.access_denied", "Access to Grant denied."),
    404: ("api.not_found_error", "Resource not found."),
    423: ("api.resource_blocked", "Resource blocked, contact administrator."),
    429: ("nylas_rate_limit_exceeded", "Rate limit exceeded"),
    504: ("api.provider_error", "Provider error"),
}
INTERNAL_ERROR = ("api.internal_error", "Internal error, contact administrator.")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body, before it knows its request id.

    A dict is JSON and gets the request id, unless it is `flat`, as the token endpoint answers; text goes
    out as it is.
    """

    body: Json | str | bytes = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    flat: bool = False

    def encoded(self, request_id: str) -> bytes:
        """Return the bytes that go on the wire."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        whole = self.body if self.flat else {"request_id": request_id, **self.body}
        return _AS_TEXT(whole).encode()

    @property
    def content_type(self) -> str:
        """JSON, or whatever a text calls itself in its headers."""
        return "application/json" if isinstance(self.body, dict) else "text/html; charset=utf-8"


class RefusedError(Exception):
    """Nylas says no, in the words of `answer`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body)
        self.answer = answer


def data(value: object, status: int = 200, **beside: object) -> Answer:
    """Wrap a value as Nylas does; a list also tells its limit and offset beside the data."""
    return Answer({"data": value, **beside}, status)


def refused(status: int, kind: str, message: str, **more: object) -> RefusedError:
    """Refuse with the general error body; `more` is `provider_error` and the like."""
    return RefusedError(Answer({"error": {"type": kind, "message": message, **more}}, status))


def bad_request(message: str) -> RefusedError:
    """Refuse a request that lacks something or has something wrong."""
    return refused(400, "invalid_request_error", message)


def refused_by_provider(error: str = "invalid_grant", words: str = "Bad Request") -> RefusedError:
    """Refuse because Google, Microsoft … did: the token was revoked, or the app's own credential is dead."""
    upstream = {"error": error, "provider_error": words}
    return refused(400, "bad_request", "Bad request", provider_error=upstream)


def refused_oauth(error: str, description: str, code: int = 400) -> RefusedError:
    """Refuse as the token endpoint does: another shape, and no request id in it."""
    page = ERRORS_PAGE + ("400-response/" if code == 400 else "")
    body = {"error": error, "error_code": code, "error_description": description, "error_uri": page}
    return RefusedError(Answer(body, 400, flat=True))


def usual(status: int) -> Answer:
    """Return the body Nylas would send with this status, for a fault that names none."""
    if status < 400:
        return Answer({}, status)
    kind, message = USUAL_ERRORS.get(status, INTERNAL_ERROR)
    return Answer({"error": {"type": kind, "message": message}}, status)


def redirect(location: str) -> Answer:
    """Send the browser on, to exactly this address: nothing in it is quoted anew."""
    return Answer("", 302, {"Location": location})
