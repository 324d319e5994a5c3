"""The command `tokens`; it imports what it needs when it is called."""

from typing import Annotated

import typer

from ingress.api.scopes import TokenScope
from ingress.cli_options import AsJson, Yes, an_id

tokens_app = typer.Typer(help="Make tokens for the API, and revoke them.", no_args_is_help=True)


def a_name(value: str) -> str:
    """Refuse what can't be the name of a token."""
    if not value.strip() or len(value) > 64 or not value.isprintable():
        raise typer.BadParameter("it must be 1 to 64 characters that can be printed")
    return value


@tokens_app.command("create")
def tokens_create(
    name: Annotated[str, typer.Argument(help="What to call it: who uses it, and what for.", callback=a_name)],
    scope: Annotated[
        list[TokenScope],
        typer.Option(
            "--scope",
            help="read: to look; grants: to act on single ones; campaigns: to run those; admin: all. Repeat it.",
        ),
    ],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it is good; else for ever.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, once. Only its hash is kept."""
    from ingress.commands import run
    from ingress.tokens import create_token

    run(lambda runtime: create_token(runtime, name, scopes=scope, days=days, as_json=as_json))


@tokens_app.command("list")
def tokens_list(as_json: AsJson = False) -> None:
    """List the tokens: what they are good for, until when, and when they were used last."""
    from ingress.commands import run
    from ingress.tokens import list_tokens

    run(lambda runtime: list_tokens(runtime, as_json=as_json))


@tokens_app.command("revoke")
def tokens_revoke(
    name: Annotated[str, typer.Argument(metavar="NAME|ID", callback=an_id)],
    yes: Yes = False,
) -> None:
    """Revoke a token: its next call is refused."""
    from ingress.commands import run
    from ingress.tokens import revoke_token

    run(lambda runtime: revoke_token(runtime, name, yes=yes))
