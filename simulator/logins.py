"""The logins under way: from the visit of the browser to the one-time code, and the code's one use."""

import secrets
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Login:
    """One visit to `/v3/connect/auth`, and all that the exchange will have to match."""

    id: str
    client_id: str
    redirect_uri: str
    provider: str
    email: str
    scope: list[str] | None
    state: str | None
    offline: bool
    challenge: str | None
    challenge_method: str
    ip: str | None
    user_agent: str | None

    def back(self, **params: str) -> str:
        """Return the address at the application to which the browser goes back; state goes along unchanged."""
        if self.state is not None:
            params["state"] = self.state
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(params, quote_via=quote)}"


class Logins:
    """Logins that wait for consent, codes that wait for their exchange, and how users behave."""

    def __init__(self) -> None:
        self.consent = "auto"
        self.callback_uris: set[str] = set()
        self.asked: dict[str, Login] = {}
        self.codes: dict[str, Login] = {}
        self.refresh_tokens: dict[str, str] = {}
        self._guests = 0

    def new_id(self) -> str:
        """Return the id of a login, which `grant.created` will name."""
        return str(uuid4())

    def guest(self) -> str:
        """Return the address of a user nobody has seen: the same ones in the same order after each reset."""
        self._guests += 1
        return f"guest{self._guests:04}@example.com"

    def allows(self, redirect_uri: str) -> bool:
        """Tell whether a callback is registered, byte for byte; with none registered, all are."""
        return not self.callback_uris or redirect_uri in self.callback_uris

    def allowed(self, login: Login) -> str:
        """Give the user's consent: return the way back, with a code that works once."""
        code = secrets.token_urlsafe(32)
        self.codes[code] = login
        return login.back(code=code)

    def denied(self, login: Login) -> str:
        """Refuse consent: return the way back, with the error."""
        return login.back(error="access_denied", error_description="The user denied the request")

    def spend(self, code: str) -> Login | None:
        """Take the login a code stands for. The code is gone, however the exchange ends."""
        return self.codes.pop(code, None)
