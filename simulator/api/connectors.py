"""The connectors API: `/v3/connectors`, one for each provider."""

from simulator.answers import Answer, Json, RefusedError, bad_request, data, usual
from simulator.asked import Asked
from simulator.connectors import BY_OAUTH, PROVIDERS, Connector
from simulator.state import State

SCOPELESS = ("zoom", "nylas")

GRACE_S = 24 * 3600
"""How long the records of a deleted connector's grants stay. Nylas says that there is a grace, not how long."""


async def create_connector(state: State, asked: Asked) -> Answer:
    """Add a connector, and with its settings its first credential; a provider has one at most."""
    sent = asked.body()
    provider = sent.get("provider")
    if not isinstance(provider, str) or provider not in PROVIDERS:
        raise bad_request(f"provider must be one of {', '.join(PROVIDERS)}")
    if provider in state.connectors.by_provider:
        raise bad_request(f"a connector for {provider} exists already; update it, or delete it first")
    if sent.get("active_credential_id"):
        raise bad_request("a new connector has no credential that active_credential_id could name")
    if provider == "ews" and "settings" not in sent:
        raise bad_request("ews needs settings")
    settings = _settings(sent, {})
    if provider in BY_OAUTH and not all(_filled(settings, name) for name in ("client_id", "client_secret")):
        raise bad_request(f"{provider} needs settings.client_id and settings.client_secret")
    if provider == "microsoft":
        settings = {"tenant": "common"} | settings
    connector = Connector(provider, _name(sent, provider), settings, _scope(sent, provider, None))
    return data(state.connectors.add(connector).view(), 201)


async def list_connectors(state: State, asked: Asked) -> Answer:
    """Return one page, in the order in which they were made."""
    limit, offset = asked.page()
    connectors = list(state.connectors.by_provider.values())[offset : offset + limit]
    return data([connector.view() for connector in connectors], limit=limit, offset=offset)


async def get_connector(state: State, asked: Asked) -> Answer:
    """Return one."""
    return data(connector_of(state, asked).view())


async def update_connector(state: State, asked: Asked) -> Answer:
    """Change what is named, by PATCH or, as one SDK does, by PUT. Settings are replaced whole.

    New settings are a new app at the provider: they reach the active credential, and mend it if it was broken.
    """
    connector, sent = connector_of(state, asked), asked.body()
    name = _name(sent, connector.name)
    scope = _scope(sent, connector.provider, connector.scope)
    settings = _settings(sent, connector.settings)
    active = sent.get("active_credential_id", connector.active_credential_id)
    if active != connector.active_credential_id:
        credential = connector.credentials.get(active) if isinstance(active, str) else None
        if credential is None or credential.kind != "connector":
            raise bad_request("active_credential_id must name a credential of type connector of this connector")
    connector.name, connector.scope, connector.active_credential_id = name, scope, active
    if "settings" in sent:
        connector.settings = settings
        if connector.active:
            connector.active.data, connector.active.updated_at = settings, state.now()
            state.broken_credentials.discard(connector.active.id)
    return data(connector.view())


async def delete_connector(state: State, asked: Asked) -> Answer:
    """Delete a connector and its credentials; its grants stop at once, and after a grace their records go too."""
    connector = connector_of(state, asked)
    del state.connectors.by_provider[connector.provider]
    grants = [grant for grant in state.books.by_id.values() if grant.provider == connector.provider]
    for grant in grants:
        state.expire(grant)
    state.books.remove_later(grants, state.now() + GRACE_S)
    return Answer({})


def connector_of(state: State, asked: Asked) -> Connector:
    """Return the connector that the path names, or refuse."""
    connector = state.connectors.by_provider.get(asked.provider)
    if connector is None:
        raise RefusedError(usual(404))
    return connector


def _name(sent: Json, default: str) -> str:
    name = sent.get("name", default)
    if not isinstance(name, str) or not name:
        raise bad_request("name must be a string")
    return name


def _settings(sent: Json, default: Json) -> Json:
    settings = sent.get("settings", default)
    if not isinstance(settings, dict):
        raise bad_request("settings must be an object")
    return settings


def _scope(sent: Json, provider: str, default: list[str] | None) -> list[str] | None:
    """Return the scopes; for EWS the documentation spells the key `scopes` and shows one string."""
    scope = sent.get("scope", sent.get("scopes") if provider == "ews" else None)
    if scope is None or provider in SCOPELESS:
        return default
    if isinstance(scope, str) and provider == "ews":
        scope = scope.split()
    if not isinstance(scope, list) or not all(isinstance(one, str) for one in scope):
        raise bad_request("scope must be a list of strings")
    return scope


def _filled(settings: Json, name: str) -> bool:
    return isinstance(settings.get(name), str) and bool(settings[name])
