"""The commands `incidents` and `brake`; each imports what it needs when it is called."""

from typing import Annotated
from uuid import UUID

import typer

from ingress.cli_options import AsJson
from lifecycle.brake import Braked

incidents_app = typer.Typer(help="Look at what went wrong for many grants at once, and close it.", no_args_is_help=True)
brake_app = typer.Typer(help="Look at what was stopped since it was too much, and let it go on.", no_args_is_help=True)

IncidentId = Annotated[UUID, typer.Argument(metavar="INCIDENT_ID", help="The incident's id.")]
Kind = Annotated[Braked, typer.Argument(help="What goes on.")]


@incidents_app.command("list")
def incidents_list(
    every: Annotated[bool, typer.Option("--all", help="Those that are closed as well.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the incidents that are open, newest first."""
    from ingress.commands import run
    from ingress.incidents import list_incidents

    run(lambda runtime: list_incidents(runtime, every=every, limit=limit, as_json=as_json))


@incidents_app.command("show")
def incidents_show(incident_id: IncidentId, as_json: AsJson = False) -> None:
    """Show one incident: its cause, its canary, how its grants stand, and what it holds back."""
    from ingress.commands import run
    from ingress.incidents import show_incident

    run(lambda runtime: show_incident(runtime, incident_id, as_json=as_json))


@incidents_app.command("close")
def incidents_close(
    incident_id: IncidentId,
    release: Annotated[bool, typer.Option("--release", help="Tell what was confirmed, without another look.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Never tell what it holds back.")] = False,
) -> None:
    """Close an incident. Unless told otherwise, its grants are looked at again, and what is still so is told."""
    from ingress.commands import run
    from ingress.incidents import close_incident

    if release and withdraw:
        raise typer.BadParameter("what it holds can be released or withdrawn, not both")
    run(lambda runtime: close_incident(runtime, incident_id, release=release, withdraw=withdraw))


@brake_app.command("status")
def brake_status(as_json: AsJson = False) -> None:
    """Show each limit, how much was done within the hour, and what waits."""
    from ingress.braking import show_brakes
    from ingress.commands import run

    run(lambda runtime: show_brakes(runtime, as_json=as_json))


@brake_app.command("release")
def brake_release(kind: Kind) -> None:
    """Let a kind of work go on. What was done before does not count against its limit again."""
    from ingress.braking import release_brake
    from ingress.commands import run

    run(lambda runtime: release_brake(runtime, kind))
