"""The commands about links and quarantine: how users come back, and what becomes of those who are somebody else."""

from typing import Annotated

import typer

from ingress.cli_options import AsJson, Yes, an_id

links_app = typer.Typer(help="Look at re-authentication links, and take them back.", no_args_is_help=True)
users_app = typer.Typer(help="What stands between a grant and its user; these are commands of `grants`.")

Grant = Annotated[str, typer.Argument(help="The grant's id, or its email address.", callback=an_id)]
OfGrant = Annotated[str | None, typer.Option("--grant", help="Those of this grant: its id, or its email address.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")]


@links_app.command("list")
def links_list(grant: OfGrant = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the links that were given out, the newest first. The addresses themselves are not kept."""
    from ingress.commands import run
    from ingress.reauth_links import list_links

    run(lambda runtime: list_links(runtime, grant, limit=limit, as_json=as_json))


@links_app.command("revoke")
def links_revoke(
    link_id: Annotated[str | None, typer.Argument(help="The link's id.", callback=an_id)] = None,
    grant: OfGrant = None,
) -> None:
    """Make a link worth nothing, or all those of a grant."""
    from ingress.commands import run
    from ingress.reauth_links import revoke_links

    run(lambda runtime: revoke_links(runtime, link_id, grant))


@users_app.command("link")
def grants_link(grant: Grant) -> None:
    """Print a link by which the user of a grant signs in again. Who has the link can use it."""
    from ingress.commands import run
    from ingress.reauth_links import give_link

    run(lambda runtime: give_link(runtime, grant))


@users_app.command("quarantined")
def grants_quarantined(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the grants that came of a sign-in for another one, or came back as somebody else's."""
    from ingress.commands import run
    from ingress.quarantine import list_quarantined

    run(lambda runtime: list_quarantined(runtime, limit=limit, as_json=as_json))


@users_app.command("release")
def grants_release(grant: Grant, yes: Yes = False) -> None:
    """Take a grant out of quarantine: accept that it is whose it is now."""
    from ingress.commands import run
    from ingress.quarantine import release

    run(lambda runtime: release(runtime, grant, yes=yes))
