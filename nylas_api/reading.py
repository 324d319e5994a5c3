"""Reads an answer of Nylas into the data that was asked for, or raises the error it means."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TypeVar

from nylas_api import errors
from nylas_api.complaints import Complaint, read_complaint, read_request_id
from nylas_api.json_body import read_json
from nylas_api.request import Request
from nylas_api.secrecy import blot, forms_of, longest_first

T = TypeVar("T")

LONGEST_WAIT = timedelta(days=1)
TIMED_OUT = 504
LONGEST_ID = 128
"""The most characters of a request id that are kept; Nylas' own have 36 or fewer."""
NO_SUCH_WEBHOOK = "70000"
"""The type under which the webhooks API hides its 404 in a 400."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def read_answer(
    request: Request[T],
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    hidden: Sequence[str] = (),
) -> tuple[T, str | None]:
    """Give the data and Nylas' request id; raise a NylasError for everything but a readable success.

    The status decides, then the error's type, never its message (Nylas: "Errors and HTTP status
    codes"; the type alone misleads, `invalid_request_error` comes with 400 and with 401). `now` is
    for a Retry-After given as a date; what is in `hidden` (see `forms_of`) is blotted out of errors,
    besides the request's own secrets.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    if request.secrets:
        hidden = longest_first([*hidden, *forms_of(request.secrets)])
    if not 200 <= status < 300:
        raise _refusal(request, status, headers, body, now, hidden)
    said: object = None
    try:
        # 204 has no body by definition (RFC 9110, 15.3.5): enough where nothing was asked for.
        said = {} if status == 204 and not body else read_json(body)
        return request.read(said), _request_id(said, headers, hidden)
    except ValueError:
        request_id = _request_id(said, headers, hidden)
    # Raised outside the handler: what it caught quotes the body, and a body can hold tokens.
    raise errors.Garbled(
        f"Nylas answered {status}, but its body of {len(body)} bytes is not what {request.method} "
        f"{request.path} should give",
        status=status,
        request_id=request_id,
        outcome_unknown=True,
    )


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3); None if absent or senseless.

    A date that has passed means no wait, and nothing means more than `LONGEST_WAIT`.
    """
    value = (value or "").strip()
    if _SECONDS.fullmatch(value):
        return min(timedelta(seconds=float(value)), LONGEST_WAIT)
    date = read_date(value)
    return min(max(date - now, timedelta()), LONGEST_WAIT) if date else None


@lru_cache(maxsize=4)
def read_date(value: str | None) -> datetime | None:
    """Read a date of HTTP's (RFC 9110, 5.6.7); None if absent or senseless. All answers of a second bear the same."""
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        date = parsedate_to_datetime(value or "")
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    return None


def _refusal(
    request: Request[T],
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    hidden: Sequence[str],
) -> errors.NylasError:
    complaint = read_complaint(body)
    kind = _kind(request, status, complaint)
    facts = errors.Facts(
        status=status,
        type=blot(complaint.type, hidden),
        request_id=_request_id(_said(body), headers, hidden),
        provider_error=blot(complaint.provider_error, hidden),
        outcome_unknown=kind is errors.Unavailable and (status not in range(400, 500) or status == 401),
        under_way=kind is errors.Unavailable and status == TIMED_OUT and request.changes,
    )
    message = blot(_sentence(status, complaint, kind), hidden) or ""
    retry_after = read_retry_after(headers.get("retry-after"), now)
    if kind is errors.RateLimited:
        limit = complaint.type == "rate_limit_error" or complaint.provider_error is not None
        return errors.RateLimited(message, provider_limit=limit, retry_after=retry_after, **facts)
    if issubclass(kind, errors.Transient):
        return kind(message, retry_after=retry_after, **facts)
    return kind(message, **facts)


def _kind(request: Request[T], status: int, complaint: Complaint) -> type[errors.NylasError]:
    """Choose the error; where a wrong guess does harm, something that is not Nylas is not believed."""
    match status:
        case 401 if (complaint.type or "").endswith("internal_error"):
            return errors.Unavailable  # the token endpoint's own trouble, seen by nylas-java
        case 401:
            return errors.Unauthorized
        case 403:
            return errors.Forbidden if complaint.is_json else errors.Unavailable
        case 404 if not complaint.type:
            return errors.Unavailable if request.about == "grant" else errors.Rejected
        case 404:
            return errors.GrantNotFound if request.about == "grant" else errors.NotFound
        case 400 if request.spends_a_code:
            return errors.CodeRejected
        case 400 if complaint.type == NO_SUCH_WEBHOOK:
            return errors.NotFound
        case 400 if complaint.type == "token.unauthorized_access":
            return errors.Unauthorized
        case 423:
            return errors.Blocked
        case 429:
            return errors.RateLimited
        case 408 | 425:
            return errors.Unavailable
        case _ if 400 <= status < 500:
            return errors.Rejected
        case _:
            return errors.Unavailable


def _sentence(status: int, complaint: Complaint, kind: type[errors.NylasError]) -> str:
    sentence = f"Nylas answered {status}"
    if 300 <= status < 400:
        return f"{sentence}, a redirect, which is not followed"
    if not complaint.is_json:
        return f"{sentence} with a body that is not its own (a proxy or firewall in between?)"
    if complaint.type:
        sentence += f" ({complaint.type})"
    if complaint.message:
        sentence += f": {complaint.message}"
    return sentence


def _request_id(said: object, headers: Mapping[str, str], hidden: Sequence[str]) -> str | None:
    """Find the id, fit for a log and a column of a table."""
    return errors.one_line(blot(read_request_id(said, headers), hidden) or "")[:LONGEST_ID] or None


def _said(body: bytes) -> object:
    with suppress(ValueError):
        return read_json(body)
    return None
