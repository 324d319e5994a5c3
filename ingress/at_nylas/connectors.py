"""The commands about connectors: how the application reaches each provider."""

from collections.abc import Callable, Sequence
from typing import NoReturn

from ingress.at_nylas import our_grants
from ingress.at_nylas.asking import made
from ingress.at_nylas.our_grants import grants
from ingress.at_nylas.printing import Flat, put_list, put_one, shown
from ingress.secret_files import read_secret
from ingress.terminal import agree, fail, say
from nylas_api import APP_OF, PROVIDERS, Connector, ConnectorSettings, NoApp, NotFound
from worker.runtime import Runtime

COLUMNS = ("provider", "name", "client_id", "tenant", "topic_name", "active_credential_id", "grants")


async def list_connectors(runtime: Runtime, *, as_json: bool) -> None:
    """Print the connectors, each with the number of our grants that hang on it."""
    counts = await our_grants.by_provider(runtime.context.database, runtime.application.id)
    connectors = (await runtime.context.nylas.connectors.list()).data
    rows = [_flat(connector) | {"grants": counts.get(connector.provider, 0)} for connector in connectors]
    put_list(rows, COLUMNS, as_json=as_json)


async def show_connector(runtime: Runtime, provider: str, *, as_json: bool) -> None:
    """Print one."""
    connector = await the_connector(runtime, provider)
    put_one(_flat(connector) | {"grants": await our_grants.count(runtime, provider=provider)}, as_json=as_json)


async def create_connector(
    runtime: Runtime, provider: str, app: Flat, *, scope: Sequence[str], name: str | None, as_json: bool
) -> None:
    """Make a connector; `app` holds the options that were given about its OAuth client."""
    if provider not in PROVIDERS:
        fail(f"{provider!r} is no provider of Nylas': {', '.join(PROVIDERS)}", code=2)
    settings = _settings(provider, app) if app or provider in APP_OF else None
    made_it = await runtime.context.nylas.connectors.create(provider, settings=settings, scope=scope, name=name)
    put_one(_flat(made_it.data), as_json=as_json)
    say(f"The connector is there. Users sign in at {runtime.settings.public_url}/connect/{provider}")


async def update_connector(
    runtime: Runtime,
    provider: str,
    app: Flat,
    *,
    scope: Sequence[str],
    name: str | None,
    active_credential_id: str | None,
    as_json: bool,
) -> None:
    """Change a connector. Nylas replaces the settings whole, so what is not given of them is read first and kept."""
    if not (app or scope or name or active_credential_id):
        fail("There is nothing to change: say what, by one of the options (--help names them)", code=2)
    settings = None
    if app:
        if missing := {"client_id", "client_secret_file"} - app.keys():
            fail(
                f"Say also {_options(missing)}: Nylas replaces the settings of a connector whole, so the client's id "
                "and secret must be given with any other of them",
                code=2,
            )
        kept = shown((await the_connector(runtime, provider)).settings, "tenant", "topic_name")
        settings = _settings(provider, {key: value for key, value in kept.items() if value} | app)
    try:
        changed = await runtime.context.nylas.connectors.update(
            provider, settings=settings, scope=scope or None, name=name, active_credential_id=active_credential_id
        )
    except NotFound:
        _no_connector(provider)
    put_one(_flat(changed.data), as_json=as_json)
    if scope:
        say("The scopes are asked for at later sign-ins: who signed in before must sign in again to grant them.")
    if app:
        say(
            "With a new secret of the same client, grants go on. With another client they don't: refresh tokens belong "
            f"to the client that they were given to, so each user must sign in again. Watch them with: "
            f"evergrant grants list --provider {provider} --status expired"
        )


async def delete_connector(runtime: Runtime, provider: str, *, yes: bool, as_json: bool) -> None:
    """Delete a connector, after saying how many of our grants stop with it."""
    await the_connector(runtime, provider)
    number = await our_grants.count(runtime, provider=provider)
    say(f"{grants(number)} that we hold of {provider} will stop at once, and the connector's credentials go with it.")
    agree(f"Delete the connector of {provider}?", yes=yes)
    await runtime.context.nylas.connectors.delete(provider)
    if as_json:
        put_one({"provider": provider, "deleted": True, "grants": number}, as_json=True)
    say(f"The connector of {provider} is deleted.")


async def the_connector(runtime: Runtime, provider: str) -> Connector:
    """Look at a connector; exits with 1 if the application has none for this provider."""
    try:
        return (await runtime.context.nylas.connectors.get(provider)).data
    except NotFound:
        _no_connector(provider)


def _no_connector(provider: str) -> NoReturn:
    fail(f"The application has no connector for {provider!r}. Make one: evergrant connectors create {provider} …")


def _settings(provider: str, app: Flat) -> ConnectorSettings:
    """Read the options into what the provider wants; exits with 2 if one is missing, or is not for this provider."""
    kind = APP_OF.get(provider, NoApp)
    options = {"client_secret_file" if name == "client_secret" else name for name in kind.model_fields}
    if foreign := app.keys() - options:
        fail(f"{provider} does not take {_options(foreign)}", code=2)
    needed = {"client_id", "client_secret_file"} & options
    if missing := needed - app.keys():
        fail(f"{provider} needs {_options(missing)}: the OAuth client that you registered there", code=2)
    values = dict(app)
    if path := values.pop("client_secret_file", None):
        values["client_secret"] = read_secret(path)
    make: Callable[..., ConnectorSettings] = kind
    return made(make, **values)


def _options(names: set[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in sorted(names))


def _flat(connector: Connector) -> Flat:
    return {
        "provider": connector.provider,
        "name": connector.name,
        **shown(connector.settings, "client_id", "tenant", "topic_name"),
        "scope": list(connector.scope),
        "active_credential_id": connector.active_credential_id,
    }
