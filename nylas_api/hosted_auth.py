"""The address to which a user is sent to sign in: Nylas' hosted OAuth."""

from collections.abc import Sequence
from typing import Literal, Required, TypedDict, Unpack
from urllib.parse import quote, urlencode

LONGEST_STATE = 256
HOSTED_PROVIDERS = frozenset({"google", "microsoft", "imap", "icloud", "yahoo", "ews", "zoom"})


class AuthOptions(TypedDict, total=False):
    """What may be asked of the sign-in page (Nylas: GET /v3/connect/auth); only the redirect is required."""

    redirect_uri: Required[str]
    """Equal, byte for byte, to a callback URI registered with Nylas."""
    provider: str | None
    """`google`, `microsoft`, `imap`, ...; without it Nylas asks the user."""
    scope: Sequence[str]
    """Without it the connector's own scopes are asked for."""
    state: str | None
    """Comes back unchanged on the redirect, and stays readable on the grant; at most 256 characters."""
    login_hint: str | None
    """The email to start with. It does not force the user to choose that account."""
    code_challenge: str | None
    """From `pkce.code_challenge`."""
    access_type: Literal["online", "offline"] | None
    prompt: str | None
    credential_id: str | None
    response_type: Literal["code", "adminconsent"]
    """`adminconsent` ends without code or grant, and needs `credential_id`."""
    options: Sequence[str]


def tells_of_another_account(*said: str | None) -> bool:
    """Tell whether an error says that the user chose another account than the one to re-authenticate.

    Nylas calls it `grant.reauth_email_invalid`; how that looks on the way back to us is not documented, so both its
    name and its sentence are looked for.
    """
    words = " ".join(text for text in said if text).casefold()
    return "reauth_email_invalid" in words or "did not match during re-authentication" in words


def auth_url(api_uri: str, client_id: str, **options: Unpack[AuthOptions]) -> str:
    """Build the address; nothing is sent.

    Raises ValueError if the state is longer than the 256 characters that Nylas keeps.
    """
    state = options.get("state")
    if state is not None and len(state) > LONGEST_STATE:
        raise ValueError(f"the state has {len(state)} characters, Nylas takes {LONGEST_STATE}")
    challenge = options.get("code_challenge")
    query = {
        "client_id": client_id,
        "redirect_uri": options["redirect_uri"],
        "response_type": options.get("response_type", "code"),
        "provider": options.get("provider"),
        "scope": " ".join(options.get("scope", ())),
        "state": state,
        "login_hint": options.get("login_hint"),
        "access_type": options.get("access_type"),
        "prompt": options.get("prompt"),
        "credential_id": options.get("credential_id"),
        "options": ",".join(options.get("options", ())),
        "code_challenge": challenge,
        "code_challenge_method": "S256" if challenge else None,
    }
    given = {name: value for name, value in query.items() if value}
    return f"{api_uri.rstrip('/')}/v3/connect/auth?{urlencode(given, quote_via=quote, safe='')}"
