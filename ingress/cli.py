"""The command `evergrant`.

Each command imports what it needs when it is called, so that `evergrant --help` need not load Celery and SQLAlchemy.
"""

from typing import Annotated

import typer

from ingress.cli_application import applications_app, redirect_uris_app, webhooks_app
from ingress.cli_campaigns import campaigns_app
from ingress.cli_connectors import connectors_app, credentials_app
from ingress.cli_events import events_app
from ingress.cli_grants import grants_app
from ingress.cli_incidents import brake_app, incidents_app
from ingress.cli_links import links_app
from ingress.cli_notices import endpoints_app, notices_app
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
from ingress.cli_retirement import retire_app
from ingress.cli_schedules import schedules_app
from ingress.cli_tokens import tokens_app
from ingress.cli_vault import vault_app
from ingress.priority import take_short_turns

app = typer.Typer(
    help="Keeps every Nylas v3 grant in the state it should be in, and says why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing boxes takes as long as all else that a short command does
    context_settings={"max_content_width": 120},
)
app.add_typer(grants_app, name="grants")
app.add_typer(links_app, name="links")
app.add_typer(connectors_app, name="connectors")
app.add_typer(credentials_app, name="credentials")
app.add_typer(applications_app, name="applications")
app.add_typer(redirect_uris_app, name="redirect-uris")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(tokens_app, name="tokens")
app.add_typer(events_app, name="events")
app.add_typer(retire_app, name="retire")
app.add_typer(incidents_app, name="incidents")
app.add_typer(brake_app, name="brake")
app.add_typer(endpoints_app, name="endpoints")
app.add_typer(notices_app, name="notices")
app.add_typer(campaigns_app, name="campaigns")
app.add_typer(schedules_app, name="schedules")
app.add_typer(vault_app, name="vault")

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]
Concurrency = Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Tasks, and calls to Nylas, in flight.")]
Migrates = Annotated[
    bool, typer.Option("--migrate", hidden=True, help="Bring the database's tables up to this release first.")
]


def main() -> None:
    """Run the command."""
    take_short_turns()
    app()


@app.command()
def up(host: Host = "127.0.0.1", port: Port = 8000, concurrency: Concurrency = 50) -> None:
    """Run a small installation: web, worker and beat (and a Valkey, if no Redis is set)."""
    from ingress.checked import settings_or_exit
    from ingress.up import up as run_up
    from worker.logs import configure

    settings = settings_or_exit()
    configure(settings.log_format)
    run_up(settings, host=host, port=port, concurrency=concurrency)


@app.command()
def web(host: Host = "127.0.0.1", port: Port = 8000, migrates: Migrates = False) -> None:
    """Serve the web front: webhooks and sign-ins."""
    from ingress.loading import loading

    with loading():
        from ingress.checked import redis_or_exit, settings_or_exit
        from ingress.migrating import migrate, migrated_or_exit
        from ingress.web import run_web
        from worker.logs import configure

    settings = settings_or_exit()
    redis_url = redis_or_exit(settings)
    configure(settings.log_format)
    (migrate if migrates else migrated_or_exit)(settings)
    run_web(settings, redis_url=redis_url, host=host, port=port)


@app.command()
def worker(concurrency: Concurrency = 50, migrates: Migrates = False) -> None:
    """Work on queued events."""
    from ingress.checked import redis_or_exit, settings_or_exit
    from ingress.loading import loading
    from ingress.priority import after_web

    settings = settings_or_exit()
    redis_url = redis_or_exit(settings)
    after_web()
    with loading():
        from ingress.migrating import migrate, migrated_or_exit
        from worker.logs import configure
        from worker.serve import run_worker

    configure(settings.log_format)
    (migrate if migrates else migrated_or_exit)(settings)
    raise typer.Exit(run_worker(settings, redis_url=redis_url, concurrency=concurrency))


@app.command()
def beat() -> None:
    """Fire the schedule. Any number may run: one at a time holds the lock."""
    from ingress.checked import redis_or_exit, settings_or_exit
    from ingress.loading import loading
    from ingress.priority import after_web

    settings = settings_or_exit()
    redis_url = redis_or_exit(settings)
    after_web()
    with loading():
        from worker.logs import configure
        from worker.serve import run_beat

    configure(settings.log_format)
    run_beat(redis_url)


@app.command()
def migrate() -> None:
    """Bring the database's tables up to this release."""
    from ingress import migrating
    from ingress.checked import settings_or_exit
    from ingress.terminal import say

    migrating.migrate(settings_or_exit())
    say("The database is at this release's revision.")


@app.command()
def sync(as_json: AsJson = False) -> None:
    """Import all grants of the application from Nylas; safe to run again."""
    from ingress.commands import run
    from ingress.syncing import sync as sync_command

    run(lambda runtime: sync_command(runtime, as_json=as_json))


@app.command()
def reauth(
    provider: ByProvider = None,
    status: ByStatus = None,
    credential: ByCredential = None,
    expired_since: Annotated[
        str | None, typer.Option(help="Only grants that we saw expire at this time or later.")
    ] = None,
    expired_before: Annotated[str | None, typer.Option(help="Only grants that we saw expire before this time.")] = None,
    missing_scope: MissingScope = None,
    email_domain: EmailDomain = None,
    tag: Tag = None,
    hours_left: HoursLeft = None,
    list_path: Annotated[
        str | None,
        typer.Option(
            "--list", metavar="PATH|-", help="Only the mailboxes of this list: CSV or JSON lines, or - for stdin."
        ),
    ] = None,
    rate: Rate = None,
    max_failures: MaxFailures = None,
    ask_users: AskUsers = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch it, or print its id and return.")] = True,
) -> None:
    """Re-authenticate many grants, as a campaign: by their credentials, by what is kept for them, or by their users."""
    from ingress.commands import run
    from ingress.reauthenticating import reauth as reauth_command

    filters = {
        "provider": provider,
        "status": status,
        "credential_id": credential,
        "expired_since": expired_since,
        "expired_before": expired_before,
        "missing_scope": missing_scope,
        "email_domain": email_domain,
        "tag": tag,
        "hours_left": hours_left,
    }
    manner = {"rate": rate, "max_failures": max_failures, "ask_users": ask_users or None}
    run(
        lambda runtime: reauth_command(
            runtime, filters, manner, list_path=list_path, dry_run=dry_run, yes=yes, wait=wait
        )
    )


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look at all that must be right, here and at Nylas, and say what to do where it is not."""
    from ingress.doctor.examination import doctor as examine_all

    examine_all(as_json=as_json)


@app.command()
def simulator(
    host: Host = "127.0.0.1",
    port: Port = 8090,
    latency_ms: Annotated[int, typer.Option("--latency-ms", min=0, help="Each answer takes that long.")] = 0,
    api_key: Annotated[str | None, typer.Option("--api-key", help="The only key that is taken.")] = None,
    client_id: Annotated[str | None, typer.Option("--client-id", help="The only client id that is taken.")] = None,
    webhook_secret: Annotated[str | None, typer.Option("--webhook-secret", help="What webhooks are signed by.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed and the same calls give the same ids.")] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Calls a second for each API group; 50 at Nylas.")] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Start without connectors, as a fresh application.")] = False,
) -> None:
    """Run a Nylas on this machine, for trying things and for tests. Its page is at /."""
    from simulator import READY_MADE, serve

    serve(
        host=host,
        port=port,
        latency_ms=latency_ms,
        api_key=api_key,
        client_id=client_id,
        webhook_secret=webhook_secret,
        seed=seed,
        rate=rate,
        connectors=() if bare else READY_MADE,
    )


@app.command()
def demo(
    postgres: Annotated[bool, typer.Option("--postgres", help="On an embedded PostgreSQL instead of SQLite.")] = False,
) -> None:
    """Start everything on this machine, do the main job before your eyes, and stop."""
    from ingress.demo import demo as run_demo

    run_demo(on_postgres=postgres)
