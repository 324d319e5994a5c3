"""Bring your own authentication: `/v3/connect/custom`, where bulk re-authentication happens too."""

from simulator.answers import Answer, Json, bad_request, data, refused, refused_by_provider
from simulator.asked import Asked
from simulator.books import SignIn
from simulator.people import email_in, name_of
from simulator.state import State

BY_TOKEN = frozenset({"refresh_token"})
IN_BULK = frozenset({"email_address", "credential_id"})

# Each provider takes one set of settings or another.
WAYS: dict[str, tuple[frozenset[str], ...]] = {
    "google": (BY_TOKEN, IN_BULK),
    "microsoft": (BY_TOKEN, IN_BULK),
    "yahoo": (BY_TOKEN,),
    "zoom": (BY_TOKEN,),
    "imap": (frozenset({"imap_username", "imap_password"}),),
    "icloud": (frozenset({"username", "password"}),),
    "ews": (frozenset({"email", "ews_username", "ews_password", "ews_host"}),),
    "virtual-calendar": (frozenset({"email"}),),
}


async def custom_auth(state: State, asked: Asked) -> Answer:
    """Make a grant from credentials at hand, or re-authenticate the one that email has. Both answer 201."""
    sent = asked.body()
    provider, settings = _wanted(sent)
    email = email_in(settings)
    if email is None:
        raise bad_request("settings name no account")
    check_with_provider(state, settings)

    scope = sent.get("scope", settings.get("scopes"))
    first_state = sent.get("state")
    user = SignIn(
        email=email,
        provider=provider,
        scope=scope if isinstance(scope, list) else None,
        state=first_state if isinstance(first_state, str) else None,
        name=name_of(email) if "refresh_token" in settings else None,
        credential_id=settings.get("credential_id"),
        settings=settings,
    )
    grant, new = state.books.sign_in(user)
    state.tell_signed_in(grant, new=new)
    return data(grant.view(), 201)


def check_with_provider(state: State, settings: Json) -> None:
    """Ask the provider, so to say. A token that begins with `revoked` is; a credential can be broken."""
    if str(settings.get("refresh_token", "")).startswith("revoked"):
        raise refused_by_provider()
    if settings.get("credential_id") in state.broken_credentials:
        raise refused_by_provider()


def _wanted(sent: Json) -> tuple[str, Json]:
    """Return provider and settings, or refuse what they lack."""
    provider, settings = sent.get("provider"), sent.get("settings")
    if not provider:
        raise refused(400, "grant.provider_required", "Provider field is required.")
    ways = WAYS.get(provider) if isinstance(provider, str) else None
    if ways is None:
        raise bad_request(f"unknown provider: {provider}")
    if not isinstance(settings, dict):
        raise bad_request("settings is required")
    if not any(all(isinstance(settings.get(key), str) and settings[key] for key in way) for way in ways):
        wanted = " or ".join(", ".join(f"settings.{key}" for key in sorted(way)) for way in ways)
        raise bad_request(f"{provider} needs {wanted}")
    return str(provider), settings
