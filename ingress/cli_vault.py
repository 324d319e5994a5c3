"""The command `vault`; it imports what it needs when it is called."""

from typing import Annotated

import typer

from ingress.cli_options import AsJson, Yes, an_id

vault_app = typer.Typer(
    help="Keep, sealed, what single mailboxes are authenticated by: refresh tokens, and accounts.",
    no_args_is_help=True,
)

OfProvider = Annotated[str | None, typer.Option("--provider", help="Only of this provider.", callback=an_id)]


@vault_app.command("import")
def vault_import(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-",
            help="A list (CSV or JSON lines) with email, provider, and a refresh_token or an account. - for stdin.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Take secrets from a list into the vault; what it has for a mailbox already is replaced."""
    from ingress.commands import run
    from ingress.vault import import_secrets

    run(lambda runtime: import_secrets(runtime, file, as_json=as_json))


@vault_app.command("list")
def vault_list(
    email: Annotated[str | None, typer.Option("--email", help="Only of this address.", callback=an_id)] = None,
    provider: OfProvider = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the mailboxes that the vault has something for; never what it is."""
    from ingress.commands import run
    from ingress.vault import list_secrets

    run(lambda runtime: list_secrets(runtime, email=email, provider=provider, limit=limit, as_json=as_json))


@vault_app.command("remove")
def vault_remove(
    email: Annotated[str, typer.Argument(callback=an_id)],
    provider: OfProvider = None,
    yes: Yes = False,
) -> None:
    """Remove what the vault has for an address."""
    from ingress.commands import run
    from ingress.vault import remove_secret

    run(lambda runtime: remove_secret(runtime, email, provider=provider, yes=yes))
