"""What can go wrong when we ask Nylas, sorted by what the caller must do about it.

NylasError                Nylas did not give us what we asked for
├─ Transient              asking again may help                      .retry_after
│  ├─ Unreachable         no answer: refused, reset, timed out, past our deadline
│  ├─ Unavailable         5xx, 408, a redirect, a page of a firewall or proxy
│  ├─ RateLimited         429, of Nylas or of the provider           .provider_limit
│  └─ Garbled             a success that cannot be read as what was asked
└─ Permanent              asking the same again cannot help
   ├─ Rejected            400, 409, 422 and the like: the request itself is wrong
   ├─ NotFound            Nylas has no such connector, credential, webhook, …
   │  └─ GrantNotFound    404 on a grant: it is gone, an observation rather than a failure
   ├─ CodeRejected        the code was spent, too old, or not ours
   ├─ Unauthorized        401, of a token, or of what the key may do
   │  ├─ KeyRejected      our API key, its region or application is wrong
   │  └─ GrantUnauthorized  the key is right: it is this grant's own access that ended
   ├─ Forbidden           403 in Nylas' own words
   └─ Blocked             423: Nylas has locked the resource
"""

from datetime import timedelta
from typing import TypedDict, Unpack

LONGEST = 300
"""The most characters that an error's text, or any text it carries, may have."""


class Facts(TypedDict, total=False):
    """What every error can know about the answer that caused it."""

    status: int | None
    type: str | None
    request_id: str | None
    provider_error: str | None
    outcome_unknown: bool
    under_way: bool


class NylasError(Exception):
    """Nylas did not give us what we asked for.

    `outcome_unknown` tells whether the request may have had its effect all the same: after a lost
    answer, a 5xx or a garbled success, look before doing it again. `under_way` tells whether it may
    have it yet: Nylas was asked to change something, and had not answered when we, or a proxy on
    the way (504), gave up waiting; then wait, too, before doing it again. `type` is Nylas' error type, or
    the OAuth `error` (RFC 6749, 5.2) from the token endpoint; `request_id` is what Nylas' support
    asks for. All texts are one printable line of at most `LONGEST` characters.
    """

    status: int | None
    type: str | None
    request_id: str | None
    provider_error: str | None
    outcome_unknown: bool
    under_way: bool

    def __init__(self, message: str, **facts: Unpack[Facts]) -> None:
        super().__init__(one_line(message))
        self.status = facts.get("status")
        self.type = _line_or_none(facts.get("type"))
        self.request_id = _line_or_none(facts.get("request_id"))
        self.provider_error = _line_or_none(facts.get("provider_error"))
        self.outcome_unknown = facts.get("outcome_unknown", False)
        self.under_way = facts.get("under_way", False)


class Withheld(NylasError):
    """The call was no longer wanted when its turn came (`nylas_api.budget.wanted`): nothing was sent."""


class Transient(NylasError):
    """Asking again may help, not before `retry_after` has passed if Nylas gave one."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class Unreachable(Transient):
    """No whole answer came. `outcome_unknown` is False only if the request cannot have been sent."""


class Unavailable(Transient):
    """Something answered, but it was not Nylas in good health."""


class RateLimited(Transient):
    """Too many calls (429): of this application at Nylas, or, if `provider_limit`, at the mail provider."""

    def __init__(
        self,
        message: str,
        *,
        provider_limit: bool = False,
        retry_after: timedelta | None = None,
        **facts: Unpack[Facts],
    ) -> None:
        super().__init__(message, retry_after=retry_after, **facts)
        self.provider_limit = provider_limit


class Garbled(Transient):
    """A success status over a body that is not what we asked for. Never take it for a success."""


class Permanent(NylasError):
    """Asking the same again cannot help."""


class Rejected(Permanent):
    """Nylas understood the request and will not do it (400, 409, 422, ...)."""


class NotFound(Permanent):
    """Nylas has no such thing. Said only by Nylas itself, never by a stray 404 page on the way."""


class GrantNotFound(NotFound):
    """Nylas has no such grant."""


class CodeRejected(Permanent):
    """The OAuth code (or its verifier) was not accepted; only a new sign-in helps."""


class Unauthorized(Permanent):
    """Nylas does not accept who asks (401). Which of the two it is, the client has asked Nylas already."""


class KeyRejected(Unauthorized):
    """Nylas takes our API key for nothing it has to do: a wrong key, or of another region or application.

    No word about any grant. Until Nylas takes the key again, the client asks nothing else.
    """


class GrantUnauthorized(Unauthorized):
    """The key is right, so the 401 is about this grant: its own access has ended."""


class Forbidden(Permanent):
    """Nylas knows us and still says no (403)."""


class Blocked(Permanent):
    """Nylas has blocked the grant or application (423); their support can lift it."""


def one_line(text: str) -> str:
    """Make foreign text fit to be read in a log: one printable line, at most `LONGEST` characters."""
    printable = text[: 4 * LONGEST]
    if not printable.isprintable():
        printable = "".join(char if char.isprintable() else " " for char in printable)
    line = " ".join(printable.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _line_or_none(text: str | None) -> str | None:
    return (one_line(text) or None) if text is not None else None
