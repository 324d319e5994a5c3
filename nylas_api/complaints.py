"""What the body of an error says, in whichever of its many shapes Nylas sent it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nylas_api.json_body import read_json


@dataclass(frozen=True)
class Complaint:
    """An error in Nylas' words. `type` is None if nothing in the body looks like an error of Nylas."""

    type: str | None = None
    message: str | None = None
    provider_error: str | None = None
    is_json: bool = False


def read_complaint(body: bytes) -> Complaint:
    """Read an error body; never raises.

    Known shapes: `{"error": {type, message, provider_error}}` (today), `{type, message}` (v2),
    `{error, error_description, error_code}` (RFC 6749, from the token endpoint), `{"error": "text"}`.
    Anything else, like the page of a proxy, is a complaint without a type.
    """
    try:
        said = read_json(body)
    except ValueError:
        return Complaint()
    if not isinstance(said, dict):
        return Complaint(is_json=True)
    match said.get("error"):
        case dict() as error:
            return _general(error)
        case str() as error:
            told = _texts([said.get("error_description"), said.get("message"), said.get("error_code")])
            return Complaint(error or None, told, _texts(said.get("provider_error")), is_json=True)
        case _:
            return _general(said)


def read_request_id(body: object, headers: Mapping[str, str]) -> str | None:
    """Find the id under which Nylas knows the request: in the body, else in lower-cased headers."""
    told = body.get("request_id") if isinstance(body, dict) else None
    if isinstance(told, str) and told:
        return told
    return headers.get("x-request-id") or headers.get("request-id") or None


def _general(error: Mapping[str, object]) -> Complaint:
    return Complaint(
        _texts(error.get("type")),
        _texts(error.get("message")),
        _texts(error.get("provider_error")),
        is_json=True,
    )


def _texts(value: object) -> str | None:
    """Say what is in a value of unknown shape: its texts and numbers in order, without their names."""
    return ": ".join(_leaves(value)) or None


def _leaves(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if text:
                yield text
            case bool():
                continue
            case int() | float() as number:
                yield str(number)
            case dict() as fields:
                waiting.extend(reversed(fields.values()))
            case list() as items:
                waiting.extend(reversed(items))
