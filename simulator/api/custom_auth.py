"""Bring your own authentication: `/v3/connect/custom`, where bulk re-authentication happens too."""

from simulator.answers import Answer, Json, RefusedError, bad_request, data, refused, refused_by_provider, usual
from simulator.asked import Asked
from simulator.books import Grant, SignIn
from simulator.connectors import BY_OAUTH, IN_BULK, Connector
from simulator.people import email_in, name_of, provider_user_id_of
from simulator.state import State

BY_TOKEN = frozenset({"refresh_token"})
FOR_ALL = frozenset({"email_address", "credential_id"})

# Each provider takes one set of settings or another.
WAYS: dict[str, tuple[frozenset[str], ...]] = {
    "google": (BY_TOKEN, FOR_ALL),
    "microsoft": (BY_TOKEN, FOR_ALL),
    "yahoo": (BY_TOKEN,),
    "zoom": (BY_TOKEN,),
    "imap": (frozenset({"imap_username", "imap_password"}),),
    "icloud": (frozenset({"username", "password"}),),
    "ews": (frozenset({"email", "ews_username", "ews_password", "ews_host"}),),
    "virtual-calendar": (frozenset({"email"}),),
    "nylas": (frozenset({"email"}),),
}
APP_PASSWORD = range(18, 41)


async def custom_auth(state: State, asked: Asked) -> Answer:
    """Make a grant from credentials at hand, or re-authenticate the one that email has. Both answer 201."""
    sent = asked.body()
    provider, settings = _wanted(sent)
    connector = state.connectors.by_provider.get(provider)
    if connector is None:
        raise bad_request(f"this application has no connector for {provider}")
    email = email_in(settings)
    if email is None:
        raise bad_request("settings name no account")
    known = state.books.find(f"email:{email}")
    check_not_blocked(known)
    check_with_provider(state, connector, settings)

    first_state, workspace, name = sent.get("state"), sent.get("workspace_id"), sent.get("name")
    by_token = "refresh_token" in settings
    user = SignIn(
        email=email,
        provider=provider,
        scope=_scope(sent, settings) or (known.scope if known else connector.asks_for),
        state=first_state if isinstance(first_state, str) else None,
        name=name if isinstance(name, str) else (name_of(email) if by_token else None),
        credential_id=settings.get("credential_id"),
        provider_user_id=provider_user_id_of(email) if by_token else None,
        workspace_id=workspace if isinstance(workspace, str) else None,
        settings=settings,
    )
    grant, new = state.books.sign_in(user)
    state.tell_signed_in(grant, new=new)
    return data(grant.view(), 201)


def check_not_blocked(grant: Grant | None) -> None:
    """Refuse to do anything with a grant that is blocked; that it can be read, and tells so, is another matter."""
    if grant and grant.blocked:
        raise RefusedError(usual(423))


def check_with_provider(state: State, connector: Connector, settings: Json) -> None:
    """Ask the provider, so to say. A token that begins with `revoked` is; a credential can be broken.

    A credential that the settings name must be the connector's, and of the type that this way in needs.
    """
    credential_id = settings.get("credential_id")
    credential = connector.credentials.get(credential_id) if isinstance(credential_id, str) else None
    if credential_id is not None and credential is None and not connector.takes_any_credential:
        raise bad_request(f"the {connector.provider} connector has no such credential_id")
    if credential:
        wanted = "connector" if "refresh_token" in settings else IN_BULK.get(connector.provider, "connector")
        if credential.kind != wanted:
            raise bad_request(f"credential_id must name a credential of type {wanted}")
        if credential.kind == "adminconsent" and not credential.consented:
            raise refused_by_provider("unauthorized_client", "The administrator has not consented to this app.")
    if not connector.works_with(credential):
        raise refused_by_provider("invalid_client", "The client id or secret is missing.")
    if str(settings.get("refresh_token", "")).startswith("revoked"):
        raise refused_by_provider()
    if (credential_id or connector.active_credential_id) in state.broken_credentials:
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
    if "credential_id" in sent and provider in BY_OAUTH:  # one of the SDKs has it beside the settings
        settings = {"credential_id": sent["credential_id"]} | settings
    if not any(all(isinstance(settings.get(key), str) and settings[key] for key in way) for way in ways):
        wanted = " or ".join(", ".join(f"settings.{key}" for key in sorted(way)) for way in ways)
        raise bad_request(f"{provider} needs {wanted}")
    if provider == "nylas" and len(str(settings.get("app_password", " " * APP_PASSWORD.start))) not in APP_PASSWORD:
        raise bad_request("settings.app_password must have 18 to 40 characters")
    if len(str(sent.get("state") or "")) > 256:
        raise bad_request("state is longer than 256 characters")
    return str(provider), settings


def _scope(sent: Json, settings: Json) -> list[str] | None:
    """Return the scopes that were named: beside the settings, or, for a Google organisation, in them."""
    scope = sent.get("scope", settings.get("scopes"))
    if isinstance(scope, str):
        return [one for one in scope.replace(",", " ").split() if one]
    if scope is None or (isinstance(scope, list) and all(isinstance(one, str) for one in scope)):
        return scope
    raise bad_request("scope must be a list of strings")
