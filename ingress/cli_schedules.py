"""The command `schedules`; it imports what it needs when it is called."""

from typing import Annotated

import typer

from ingress.cli_options import (
    AsJson,
    AskUsers,
    ByCredential,
    ByProvider,
    ByStatus,
    EmailDomain,
    HoursLeft,
    MaxFailures,
    MissingScope,
    Rate,
    Tag,
    Yes,
)

schedules_app = typer.Typer(help="Ask for a campaign or a sync again and again.", no_args_is_help=True)

ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]


@schedules_app.command("add")
def schedules_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    cron: Annotated[str, typer.Option(help="When: minute, hour, day of the month, month, day of the week.")],
    zone: Annotated[str, typer.Option(help="Whose clocks tell it: UTC, Europe/Berlin, …")] = "UTC",
    sync: Annotated[bool, typer.Option("--sync", help="Ask for a sync, instead of a campaign.")] = False,
    provider: ByProvider = None,
    credential: ByCredential = None,
    status: ByStatus = None,
    missing_scope: MissingScope = None,
    email_domain: EmailDomain = None,
    tag: Tag = None,
    hours_left: HoursLeft = None,
    rate: Rate = None,
    max_failures: MaxFailures = None,
    ask_users: AskUsers = False,
    yes: Yes = False,
) -> None:
    """Add a schedule: shows when it fires and what it asks for, and asks before it is saved."""
    from ingress.commands import run
    from ingress.schedules import add_schedule

    filters = {
        "provider": provider,
        "credential_id": credential,
        "status": status,
        "missing_scope": missing_scope,
        "email_domain": email_domain,
        "tag": tag,
        "hours_left": hours_left,
    }
    manner = {"rate": rate, "max_failures": max_failures, "ask_users": ask_users or None}
    run(
        lambda runtime: add_schedule(
            runtime, name, cron=cron, zone=zone, sync=sync, filters=filters, manner=manner, yes=yes
        )
    )


@schedules_app.command("list")
def schedules_list(as_json: AsJson = False) -> None:
    """List the schedules, and the sync that is built in."""
    from ingress.commands import run
    from ingress.schedule_lists import list_schedules

    run(lambda runtime: list_schedules(runtime, as_json=as_json))


@schedules_app.command("show")
def schedules_show(name: ScheduleName, as_json: AsJson = False) -> None:
    """Show one schedule: when it is due, and what came of its last firings."""
    from ingress.commands import run
    from ingress.schedule_lists import show_schedule

    run(lambda runtime: show_schedule(runtime, name, as_json=as_json))


@schedules_app.command("pause")
def schedules_pause(name: ScheduleName) -> None:
    """Pause a schedule: it does not fire until it is resumed."""
    from ingress.commands import run
    from ingress.schedules import pause_schedule

    run(lambda runtime: pause_schedule(runtime, name))


@schedules_app.command("resume")
def schedules_resume(name: ScheduleName) -> None:
    """Resume a schedule at its next due time; what came due meanwhile is not made up for."""
    from ingress.commands import run
    from ingress.schedules import resume_schedule

    run(lambda runtime: resume_schedule(runtime, name))


@schedules_app.command("run-now")
def schedules_run_now(name: ScheduleName) -> None:
    """Ask now for what a schedule asks for, and print its id; when it is due stays as it is."""
    from ingress.commands import run
    from ingress.schedules import run_schedule_now

    run(lambda runtime: run_schedule_now(runtime, name))


@schedules_app.command("remove")
def schedules_remove(name: ScheduleName, yes: Yes = False) -> None:
    """Remove a schedule; what it has asked for goes on."""
    from ingress.commands import run
    from ingress.schedules import remove_schedule

    run(lambda runtime: remove_schedule(runtime, name, yes=yes))
