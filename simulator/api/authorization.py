"""The authorization request: what `/v3/connect/auth` takes, and what it refuses without a redirect."""

from collections.abc import Mapping

from simulator.answers import bad_request, refused
from simulator.asked import Asked, one_of
from simulator.books import Grant
from simulator.connectors import Connector, Credential
from simulator.logins import Login
from simulator.state import State

HOSTED = ("google", "microsoft", "imap", "icloud", "yahoo", "ews", "zoom")
PROMPTS = ("select_provider", "detect", "select_provider,detect", "detect,select_provider")


def login_of(state: State, asked: Asked) -> Login:
    """Return the login that was asked for, or refuse.

    `prompt` and `exclude_google_granted_scopes` are taken and change nothing: they are about pages of
    Nylas' and Google's that are not simulated.
    """
    query = asked.query
    for_admin = _response_type(state, query) == "adminconsent"
    known = state.books.find(f"email:{query['login_hint']}") if query.get("login_hint") else None
    providers = _providers(state, query, known, for_admin=for_admin)
    provider = known.provider if known and known.provider in providers else providers[0]
    connector = state.connectors.by_provider[provider]
    credential = _credential(connector, query.get("credential_id"), for_admin=for_admin)
    one_of(query.get("prompt", PROMPTS[0]), *PROMPTS)
    options = query.get("options", "").replace(",", " ").split()
    return Login(
        id=state.new_id(),
        client_id=query["client_id"],
        redirect_uri=query["redirect_uri"],
        provider=provider,
        providers=providers,
        email=query.get("login_hint") or ("" if for_admin else state.logins.guest()),
        known_as=known.email if known else None,
        scope=_scope(query, connector, known),
        state=query.get("state"),
        offline=one_of(query.get("access_type", "online"), "online", "offline") == "offline",
        challenge=query.get("code_challenge"),
        challenge_method=one_of(query.get("code_challenge_method", "plain").lower(), "plain", "s256"),
        credential_id=credential.id if credential else query.get("credential_id"),
        smtp="smtp_required" in options or query.get("smtp_required") == "true",
        for_admin=for_admin,
        ip=asked.request.remote,
        user_agent=asked.request.headers.get("User-Agent"),
    )


def _response_type(state: State, query: Mapping[str, str]) -> str:
    """Return what the login is to end in, once client, callback and state are known to be right."""
    for name in ("client_id", "redirect_uri", "response_type"):
        if not query.get(name):
            raise bad_request(f"Missing required parameter: {name}")
    if not state.knows_client(query["client_id"]):
        raise bad_request("Unknown client_id")
    response_type = query["response_type"]
    if response_type not in ("code", "adminconsent"):
        raise bad_request("response_type must be code or adminconsent")
    if not state.application.allows(query["redirect_uri"]):
        kind = "grant.callback_uri_not_allowed"
        raise refused(400, kind, "callback_uri is not allowed for this connector.")
    if len(query.get("state", "")) > 256:
        raise bad_request("state is longer than 256 characters")
    return response_type


def _providers(state: State, query: Mapping[str, str], known: Grant | None, *, for_admin: bool) -> tuple[str, ...]:
    """Return which providers the user may choose from: those that were named, or all that have a connector."""
    named = [provider for provider in query.get("provider", "").split(",") if provider]
    if for_admin and named != ["microsoft"]:
        if not named:
            raise refused(400, "grant.provider_required", "Provider field is required.")
        raise bad_request("response_type adminconsent is for provider microsoft alone")
    if unknown := [provider for provider in named if provider not in HOSTED]:
        raise bad_request(f"Unknown provider: {unknown[0]}")
    ready = [provider for provider in named or HOSTED if provider in state.connectors.by_provider]
    if known and not named and known.provider in state.connectors.by_provider:
        ready = [known.provider]
    if not ready:
        raise bad_request(f"this application has no connector for {', '.join(named) or 'any provider'}")
    return tuple(ready)


def _credential(connector: Connector, credential_id: str | None, *, for_admin: bool) -> Credential | None:
    wanted = "adminconsent" if for_admin else "connector"
    if credential_id is None and not for_admin:
        return None
    credential = connector.credentials.get(credential_id or "")
    if credential is None or credential.kind != wanted:
        of = f"of type {wanted} of the {connector.provider} connector"
        raise bad_request(f"credential_id must name a credential {of}")
    return credential


def _scope(query: Mapping[str, str], connector: Connector, known: Grant | None) -> list[str]:
    """Return the scopes that were named, or the connector's; on demand together with those of the grant."""
    scope = query["scope"].split() if query.get("scope") else connector.asks_for
    if known and query.get("include_grant_scopes") == "true":
        return [*scope, *(one for one in known.scope if one not in scope)]
    return scope
