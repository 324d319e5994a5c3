"""The commands `evergrant connectors` and `evergrant credentials`; each imports what it needs when it is called."""

from typing import Annotated

import typer

from ingress.cli_options import (
    AsJson,
    ClientId,
    ClientSecretFile,
    Id,
    KeyFile,
    Name,
    ProviderName,
    Scopes,
    Tenant,
    TopicName,
    Yes,
    an_id,
)

connectors_app = typer.Typer(help="Look at Nylas' connectors, and change them.", no_args_is_help=True)
credentials_app = typer.Typer(help="Look at the credentials of connectors, and replace them.", no_args_is_help=True)

CredentialType = Annotated[
    str | None,
    typer.Option(
        "--type",
        help="serviceaccount (google), adminconsent (microsoft), or connector: another OAuth client. Unless given: "
        "what lets in an organisation as a whole, or connector where there is no such thing.",
    ),
]


@connectors_app.command("list")
def connectors_list(as_json: AsJson = False) -> None:
    """List the connectors, each with the number of our grants that hang on it."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.connectors import list_connectors

    at_nylas(lambda runtime: list_connectors(runtime, as_json=as_json))


@connectors_app.command("show")
def connectors_show(provider: ProviderName, as_json: AsJson = False) -> None:
    """Show the connector of a provider."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.connectors import show_connector

    at_nylas(lambda runtime: show_connector(runtime, provider, as_json=as_json))


@connectors_app.command("create")
def connectors_create(
    provider: ProviderName,
    client_id: ClientId = None,
    client_secret_file: ClientSecretFile = None,
    tenant: Tenant = None,
    topic_name: TopicName = None,
    scope: Scopes = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Make the connector of a provider."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.connectors import create_connector

    app = _given(client_id=client_id, client_secret_file=client_secret_file, tenant=tenant, topic_name=topic_name)
    at_nylas(lambda runtime: create_connector(runtime, provider, app, scope=scope or (), name=name, as_json=as_json))


@connectors_app.command("update")
def connectors_update(
    provider: ProviderName,
    client_id: ClientId = None,
    client_secret_file: ClientSecretFile = None,
    tenant: Tenant = None,
    topic_name: TopicName = None,
    scope: Scopes = None,
    name: Name = None,
    active_credential: Annotated[
        str | None, typer.Option("--active-credential", help="The id of the credential used where none is named.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the connector of a provider: a new client secret, other scopes. What is not given stays."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.connectors import update_connector

    app = _given(client_id=client_id, client_secret_file=client_secret_file, tenant=tenant, topic_name=topic_name)
    at_nylas(
        lambda runtime: update_connector(
            runtime,
            provider,
            app,
            scope=scope or (),
            name=name,
            active_credential_id=active_credential,
            as_json=as_json,
        )
    )


@connectors_app.command("delete")
def connectors_delete(provider: ProviderName, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete the connector of a provider: all its grants stop at once."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.connectors import delete_connector

    at_nylas(lambda runtime: delete_connector(runtime, provider, yes=yes, as_json=as_json))


@credentials_app.command("list")
def credentials_list(
    provider: Annotated[str | None, typer.Argument(help="Of this provider only.", callback=an_id)] = None,
    as_json: AsJson = False,
) -> None:
    """List credentials, each with the number of our grants that use it."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.credentials import list_credentials

    at_nylas(lambda runtime: list_credentials(runtime, provider, as_json=as_json))


@credentials_app.command("create")
def credentials_create(
    provider: ProviderName,
    name: Annotated[str, typer.Argument(help="What to call it; unique for the provider.")],
    type_: CredentialType = None,
    key_file: KeyFile = None,
    client_id: ClientId = None,
    client_secret_file: ClientSecretFile = None,
    tenant: Tenant = None,
    topic_name: TopicName = None,
    as_json: AsJson = False,
) -> None:
    """Add a credential to a connector."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.credential_data import Options
    from ingress.at_nylas.credentials import create_credential

    options = Options(type_, key_file, client_id, client_secret_file, tenant, topic_name)
    at_nylas(lambda runtime: create_credential(runtime, provider, name, options, as_json=as_json))


@credentials_app.command("rotate")
def credentials_rotate(
    provider: ProviderName,
    credential_id: Id,
    type_: CredentialType = None,
    key_file: KeyFile = None,
    client_id: ClientId = None,
    client_secret_file: ClientSecretFile = None,
    tenant: Tenant = None,
    topic_name: TopicName = None,
    check: Annotated[bool, typer.Option("--check", help="Then try it on one of its grants.")] = False,
    renew: Annotated[
        bool, typer.Option("--renew", help="If that goes, renew all of its grants, as a campaign.")
    ] = False,
    max_failures: Annotated[str, typer.Option(help="The campaign stops at more: a share, or a number.")] = "5%",
    as_json: AsJson = False,
) -> None:
    """Replace the data of a credential, whole, and say what to run next, or do it."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.credential_data import Options
    from ingress.at_nylas.credentials import rotate_credential

    options = Options(type_, key_file, client_id, client_secret_file, tenant, topic_name)
    bears = _stop_rule(max_failures) if renew else None
    at_nylas(
        lambda runtime: rotate_credential(
            runtime, provider, credential_id, options, check=check, renew=bears, as_json=as_json
        )
    )


@credentials_app.command("delete")
def credentials_delete(provider: ProviderName, credential_id: Id, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a credential: the grants that use it stop at once."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.credentials import delete_credential

    at_nylas(lambda runtime: delete_credential(runtime, provider, credential_id, yes=yes, as_json=as_json))


def _stop_rule(text: str) -> str:
    from ingress.terminal import fail
    from lifecycle.campaigning import StopRule

    try:
        StopRule.parse(text)
    except ValueError as error:
        fail(f"--max-failures: {error}", code=2)
    return text


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value is not None}
