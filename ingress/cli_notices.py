"""The commands `endpoints` and `notices`; each imports what it needs when it is called."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from ingress.cli_options import AsJson, Yes, an_id

endpoints_app = typer.Typer(help="Say where your product is told of its grants.", no_args_is_help=True)
notices_app = typer.Typer(help="Look at notices, and bring back those that were given up.", no_args_is_help=True)

Endpoint = Annotated[str, typer.Argument(help="The endpoint's id, or its URL.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")]


class NoticeStatus(StrEnum):
    """How far a notice is."""

    PLANNED = "planned"
    HELD = "held"
    SKIPPED = "skipped"
    UNDER_WAY = "under_way"
    DELIVERED = "delivered"
    SET_ASIDE = "set_aside"


@endpoints_app.command("list")
def endpoints_list(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the endpoints, and how each of them does."""
    from ingress.commands import run
    from ingress.endpoints import list_endpoints

    run(lambda runtime: list_endpoints(runtime, removed_too=everything, as_json=as_json))


@endpoints_app.command("add")
def endpoints_add(
    url: Annotated[str, typer.Argument(help="Where notices are sent to, by POST.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only notices of this kind; repeat it for more.")
    ] = None,
    secret_file: Annotated[
        str | None,
        typer.Option("--secret-file", metavar="PATH|-", help="A file with the secret (whsec_…), or - for stdin."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add an endpoint, or change one. Without a secret of yours one is made, and printed, once."""
    from ingress.commands import run
    from ingress.endpoints import add_endpoint

    run(lambda runtime: add_endpoint(runtime, url, kinds=kind, secret_file=secret_file, as_json=as_json))


@endpoints_app.command("remove")
def endpoints_remove(endpoint: Endpoint, yes: Yes = False) -> None:
    """Tell an endpoint nothing more. What is on its way to it is cancelled."""
    from ingress.commands import run
    from ingress.endpoints import remove_endpoint

    run(lambda runtime: remove_endpoint(runtime, endpoint, yes=yes))


@endpoints_app.command("test")
def endpoints_test(
    endpoint: Annotated[str | None, typer.Argument(help="Its id, or its URL; all of them, unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a signed test notice (evergrant.test) at once, and say what the endpoint answers."""
    from ingress.commands import run
    from ingress.endpoint_trial import try_endpoints

    run(lambda runtime: try_endpoints(runtime, endpoint, as_json=as_json))


@notices_app.command("list")
def notices_list(
    grant: Annotated[str | None, typer.Option("--grant", help="Of this grant: its id, or its email address.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Of this kind, such as grant.expired.")] = None,
    status: Annotated[NoticeStatus | None, typer.Option(help="Only those that are so far.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List notices, the newest first: planned, held, sent, or not sent and why."""
    from ingress.commands import run
    from ingress.notices import list_notices

    run(lambda runtime: list_notices(runtime, grant, kind=kind, status=status, limit=limit, as_json=as_json))


@notices_app.command("show")
def notices_show(notice_id: Annotated[UUID, typer.Argument()], as_json: AsJson = False) -> None:
    """Show one notice, what it tells, and its way to each endpoint."""
    from ingress.commands import run
    from ingress.notices import show_notice

    run(lambda runtime: show_notice(runtime, notice_id, as_json=as_json))


@notices_app.command("retry")
def notices_retry(
    notice_id: Annotated[list[UUID] | None, typer.Argument(help="Their ids; no others then.")] = None,
    set_aside: Annotated[bool, typer.Option("--set-aside", help="All that were set aside.")] = False,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Only to this endpoint: its id or URL.", callback=an_id)
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Send notices again that were set aside, for another three days."""
    from ingress.commands import run
    from ingress.notice_retry import retry_notices

    run(
        lambda runtime: retry_notices(
            runtime, notice_id or (), every=set_aside, endpoint=endpoint, yes=yes, as_json=as_json
        )
    )
