"""The command `events`; it imports what it needs when it is called."""

from typing import Annotated
from uuid import UUID

import typer

from ingress.cli_options import AsJson, Yes, an_id

events_app = typer.Typer(help="Look at events, and bring back those that failed.", no_args_is_help=True)

KIND = "Only events of this kind, such as grant.expired."
Kind = Annotated[str | None, typer.Option("--kind", help=KIND, callback=an_id)]
OUTCOMES = ("done", "ignored", "skipped", "failed", "cancelled", "set_aside")


def an_outcome(value: str | None) -> str | None:
    """Refuse what no event ends with."""
    if value is not None and value.replace("-", "_") not in OUTCOMES:
        raise typer.BadParameter(f"it must be one of {', '.join(OUTCOMES)}")
    return value


@events_app.command("list")
def events_list(
    kind: Kind = None,
    outcome: Annotated[
        str | None, typer.Option(help="Only events that ended so: set_aside, failed, …", callback=an_outcome)
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only events that were set aside or failed for good.")] = False,
    grant: Annotated[str | None, typer.Option(help="Only events of the grant with this id.", callback=an_id)] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List events, the newest first."""
    from ingress.commands import run
    from ingress.events_admin import BROUGHT_BACK, list_events
    from models import Outcome

    if dead and outcome:
        raise typer.BadParameter("--dead names its outcomes already: leave out --outcome")
    ended = BROUGHT_BACK if dead else [Outcome(outcome.replace("-", "_"))] if outcome else ()
    run(lambda runtime: list_events(runtime, kind=kind, outcomes=ended, grant_id=grant, limit=limit, as_json=as_json))


@events_app.command("show")
def events_show(event_id: Annotated[UUID, typer.Argument()], as_json: AsJson = False) -> None:
    """Show one event, with its body as it came."""
    from ingress.commands import run
    from ingress.events_admin import show_event

    run(lambda runtime: show_event(runtime, event_id, as_json=as_json))


@events_app.command("retry")
def events_retry(
    event_id: Annotated[list[UUID] | None, typer.Argument(help="Their ids; no others then.")] = None,
    set_aside: Annotated[bool, typer.Option("--set-aside", help="All that were set aside.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed for good.")] = False,
    kind: Kind = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have events dealt with again that were set aside or failed, after their cause was mended."""
    from ingress.commands import run
    from ingress.events_admin import retry_events
    from models import Outcome

    wanted = [outcome for outcome, on in ((Outcome.SET_ASIDE, set_aside), (Outcome.FAILED, failed)) if on]
    run(lambda runtime: retry_events(runtime, event_id or (), kind=kind, outcomes=wanted, yes=yes, as_json=as_json))
