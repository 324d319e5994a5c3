"""The commands `evergrant grants …`: what is known of each grant, and why it is as it is."""

from typing import Annotated

import typer

from ingress.cli_links import users_app
from ingress.cli_options import AsJson, ByProvider, ByStatus, MissingScope
from ingress.cli_tags import tags_app

grants_app = typer.Typer(help="Look at grants.", no_args_is_help=True)
grants_app.add_typer(users_app)
grants_app.add_typer(tags_app)

Grant = Annotated[str, typer.Argument(help="The grant's id, or its email address.")]


@grants_app.command("list")
def grants_list(
    status: ByStatus = None,
    provider: ByProvider = None,
    missing_scope: MissingScope = None,
    after: Annotated[str | None, typer.Option(help="Begin after the grant of this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List grants, in the order of their ids."""
    from ingress.commands import run
    from ingress.grant_lists import list_grants

    filters = {"status": status, "provider": provider, "missing_scope": missing_scope}
    run(lambda runtime: list_grants(runtime, filters, after=after, limit=limit, as_json=as_json))


@grants_app.command("show")
def grants_show(grant: Grant, as_json: AsJson = False) -> None:
    """Show one grant."""
    from ingress.commands import run
    from ingress.grant_lists import show_grant

    run(lambda runtime: show_grant(runtime, grant, as_json=as_json))


@grants_app.command("why")
def grants_why(grant: Grant, as_json: AsJson = False) -> None:
    """Tell why a grant is as it is: its whole story, with Nylas' request ids."""
    from ingress.commands import run
    from ingress.story.command import why

    run(lambda runtime: why(runtime, grant, as_json=as_json))


@grants_app.command("reauth")
def grants_reauth(
    grant: Grant,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch it, or print the campaign's id.")] = True,
) -> None:
    """Re-authenticate one grant: by its credential, or else by a link for its user."""
    from ingress.commands import run
    from ingress.reauthenticating import reauth_one

    run(lambda runtime: reauth_one(runtime, grant, wait=wait))
