"""The logins under way: from the visit of the browser to the one-time code, and the code's one use."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from simulator.answers import ERRORS_PAGE
from simulator.clock import Clock
from simulator.ids import Ids

CODE_LIVES_S = 600
"""Nylas does not say how long an unused code works; OAuth (RFC 6749, 4.1.2) says ten minutes at most."""


@dataclass(frozen=True, slots=True)
class Login:
    """One visit to `/v3/connect/auth`, and all that the exchange will have to match.

    `providers` are those the user may choose from, `known_as` is the address of the grant that the hint
    named: with one, this is a re-authentication. With `for_admin` it ends in a consent and no grant.
    """

    id: str
    client_id: str
    redirect_uri: str
    provider: str
    providers: tuple[str, ...]
    email: str
    known_as: str | None
    scope: list[str]
    state: str | None
    offline: bool
    challenge: str | None
    challenge_method: str
    credential_id: str | None
    smtp: bool
    for_admin: bool
    ip: str | None
    user_agent: str | None

    def back(self, **params: str) -> str:
        """Return the address at the application to which the browser goes back; state goes along unchanged."""
        if self.state is not None:
            params["state"] = self.state
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(params, quote_via=quote)}"

    def denied(self) -> str:
        """Return the way back of a user who said no."""
        return self.back(error="access_denied", error_description="The user denied the request")

    def failed(self, error: str, description: str) -> str:
        """Return the way back from a login that could not end well."""
        return self.back(error=error, error_code="400", error_description=description, error_uri=ERRORS_PAGE)


class Logins:
    """Logins that wait for consent, codes that wait for their exchange, and how users behave."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids
        self.consent = "auto"
        self.asked: dict[str, Login] = {}
        self._codes: dict[str, tuple[Login, int]] = {}
        self._guests = 0

    def guest(self) -> str:
        """Return the address of a user nobody has seen: the same ones in the same order after each reset."""
        self._guests += 1
        return f"guest{self._guests:04}@example.com"

    def code_for(self, login: Login) -> str:
        """Return a new code that works once, and not for ever."""
        code = self._ids.token()
        self._codes[code] = login, self._clock.now() + CODE_LIVES_S
        return code

    def spend(self, code: str) -> Login | None:
        """Take the login a code stands for. The code is gone, however the exchange ends."""
        login, until = self._codes.pop(code, (None, 0))
        return login if until > self._clock.now() else None
