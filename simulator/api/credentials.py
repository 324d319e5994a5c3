"""The credentials API: `/v3/connectors/{provider}/creds`, whose secrets go in and never come out."""

from simulator.answers import Answer, Json, RefusedError, bad_request, data, usual
from simulator.api.connectors import connector_of
from simulator.asked import Asked, one_of
from simulator.connectors import BY_OAUTH, IN_BULK, Connector, Credential
from simulator.state import State

KINDS = ("serviceaccount", "adminconsent", "connector")
OF_AN_APP = ("client_id", "client_secret")
OF_A_KEY_FILE = ("private_key_id", "private_key", "client_email")


async def create_credential(state: State, asked: Asked) -> Answer:
    """Add a credential; the same parameters once more give the one that is there."""
    connector, sent = connector_of(state, asked), asked.body()
    name, given = _name(sent), sent.get("credential_data")
    kind = one_of(sent.get("credential_type"), *KINDS)
    _check_data(connector.provider, kind, given)
    if same := _named(connector, name):
        if (same.kind, same.data) != (kind, given):
            raise bad_request(f"a credential named {name!r} exists already, with other data")
        return data(same.view(), 201)
    return data(state.connectors.add_credential(connector, name=name, kind=kind, data=dict(given or {})).view(), 201)


async def list_credentials(state: State, asked: Asked) -> Answer:
    """Return one page of them, the newest first unless told otherwise."""
    connector = connector_of(state, asked)
    limit, offset = asked.page()
    by_creation = asked.choice("sort_by", "created_at", "updated_at") == "created_at"
    newest_first = asked.choice("order_by", "desc", "asc") == "desc"

    def place(credential: Credential) -> tuple[int, int]:
        return (credential.created_at if by_creation else credential.updated_at, credential.number)

    found = sorted(connector.credentials.values(), key=place, reverse=newest_first)[offset : offset + limit]
    return data([credential.view() for credential in found], limit=limit, offset=offset)


async def get_credential(state: State, asked: Asked) -> Answer:
    """Return one."""
    return data(_credential(connector_of(state, asked), asked).view())


async def patch_credential(state: State, asked: Asked) -> Answer:
    """Change the name, or replace the data whole. New data mend a credential that was broken.

    What Nylas then does with the grants that failed is not documented: here each waits for its own
    re-authentication.
    """
    connector, sent = connector_of(state, asked), asked.body()
    credential = _credential(connector, asked)
    name = _name({"name": credential.name} | sent)
    if name != credential.name and _named(connector, name):
        raise bad_request(f"a credential named {name!r} exists already")
    if (given := sent.get("credential_data")) is not None:
        _check_data(connector.provider, credential.kind, given)
        credential.data = dict(given)
        state.broken_credentials.discard(credential.id)
    credential.name, credential.updated_at = name, state.now()
    return data(credential.view())


async def delete_credential(state: State, asked: Asked) -> Answer:
    """Delete a credential that is not the active one; the grants that use it stop at once."""
    connector = connector_of(state, asked)
    credential = _credential(connector, asked)
    if credential.id == connector.active_credential_id:
        raise bad_request("this is the connector's active credential; name another in active_credential_id first")
    del connector.credentials[credential.id]
    for grant in list(state.books.by_id.values()):
        if grant.credential_id == credential.id and grant.provider == connector.provider:
            state.expire(grant)
    return Answer({})


def _credential(connector: Connector, asked: Asked) -> Credential:
    credential = connector.credentials.get(asked.ref)
    if credential is None:
        raise RefusedError(usual(404))
    return credential


def _named(connector: Connector, name: str) -> Credential | None:
    return next((one for one in connector.credentials.values() if one.name == name), None)


def _name(sent: Json) -> str:
    name = sent.get("name")
    if not isinstance(name, str) or not name:
        raise bad_request("name is required, and must be unique")
    return name


def _check_data(provider: str, kind: str, given: object) -> None:
    """Refuse a type that the provider does not have, and data that lack something their type needs."""
    if not isinstance(given, dict):
        raise bad_request("credential_data must be an object")
    if (provider not in BY_OAUTH) if kind == "connector" else (IN_BULK.get(provider) != kind):
        raise bad_request(f"{provider} has no credentials of type {kind}")
    filled = {name for name, value in given.items() if isinstance(value, str) and value}
    if kind == "adminconsent":
        # With a tenant the app may be the connector's; without one it is told whole.
        enough = "tenant" in filled and not filled & set(OF_AN_APP)
        needed: tuple[str, ...] = () if enough else OF_AN_APP
    else:
        needed = OF_A_KEY_FILE if kind == "serviceaccount" else OF_AN_APP
    if missing := [name for name in needed if name not in filled]:
        raise bad_request(f"{kind} needs {', '.join(f'credential_data.{name}' for name in missing)}")
