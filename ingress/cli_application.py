"""The commands `applications`, `redirect-uris` and `webhooks`; each imports what it needs when it is called."""

from typing import Annotated

import typer

from ingress.cli_options import AsJson, Description, Email, Id, Trigger, WebhookId, Yes

applications_app = typer.Typer(help="Look at the Nylas application.", no_args_is_help=True)
redirect_uris_app = typer.Typer(help="Register where users come back to from a sign-in.", no_args_is_help=True)
webhooks_app = typer.Typer(help="Look at Nylas' webhooks, make them, and replace their secrets.", no_args_is_help=True)

AppSetting = Annotated[str | None, typer.Option(help="A setting of the platform; Nylas says which need it.")]


@applications_app.command("show")
def applications_show(as_json: AsJson = False) -> None:
    """Show the application that the API key belongs to."""
    from ingress.at_nylas.applications import show_application
    from ingress.at_nylas.asking import at_nylas

    at_nylas(lambda runtime: show_application(runtime, as_json=as_json))


@redirect_uris_app.command("list")
def redirect_uris_list(as_json: AsJson = False) -> None:
    """List the redirect URIs that are registered."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.redirect_uris import list_redirect_uris

    at_nylas(lambda runtime: list_redirect_uris(runtime, as_json=as_json))


@redirect_uris_app.command("add")
def redirect_uris_add(
    url: Annotated[str | None, typer.Argument(help="The URL; ours, unless given.")] = None,
    platform: Annotated[str, typer.Option(help="web, desktop, js, ios or android.")] = "web",
    origin: AppSetting = None,
    bundle_id: AppSetting = None,
    app_store_id: AppSetting = None,
    team_id: AppSetting = None,
    package_name: AppSetting = None,
    sha1_certificate_fingerprint: AppSetting = None,
    as_json: AsJson = False,
) -> None:
    """Register a redirect URI: that of our own web, unless another is given."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.redirect_uris import add_redirect_uri

    of_platform = {
        "origin": origin,
        "bundle_id": bundle_id,
        "app_store_id": app_store_id,
        "team_id": team_id,
        "package_name": package_name,
        "sha1_certificate_fingerprint": sha1_certificate_fingerprint,
    }
    settings = {name: value for name, value in of_platform.items() if value is not None}
    at_nylas(lambda runtime: add_redirect_uri(runtime, url, platform=platform, settings=settings, as_json=as_json))


@redirect_uris_app.command("remove")
def redirect_uris_remove(
    name: Annotated[str, typer.Argument(metavar="ID|URL", help="Its id, or its URL.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove a redirect URI: sign-ins that name it fail from then on."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.redirect_uris import remove_redirect_uri

    at_nylas(lambda runtime: remove_redirect_uri(runtime, name, yes=yes, as_json=as_json))


@webhooks_app.command("list")
def webhooks_list(as_json: AsJson = False) -> None:
    """List the webhooks of the application."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.webhooks import list_webhooks

    at_nylas(lambda runtime: list_webhooks(runtime, as_json=as_json))


@webhooks_app.command("create")
def webhooks_create(
    url: Annotated[str | None, typer.Argument(help="The URL; that of our own web, unless given.")] = None,
    trigger: Trigger = None,
    description: Description = None,
    email: Email = None,
    compressed: Annotated[bool, typer.Option("--compressed", help="Have notifications sent as gzip.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a webhook for all that happens to grants, and print its secret, once."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.webhooks import create_webhook

    at_nylas(
        lambda runtime: create_webhook(
            runtime,
            url,
            triggers=trigger or (),
            description=description,
            emails=email or (),
            compressed=compressed,
            as_json=as_json,
        )
    )


@webhooks_app.command("update")
def webhooks_update(
    webhook_id: WebhookId = None,
    url: Annotated[str | None, typer.Option(help="Another URL.")] = None,
    trigger: Trigger = None,
    description: Description = None,
    email: Email = None,
    compressed: Annotated[
        bool | None, typer.Option("--compressed/--plain", help="Have notifications sent as gzip, or not.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a webhook. What is not given stays; triggers and emails that are given replace those that are there."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.webhooks import update_webhook

    told = {
        "webhook_url": url,
        "trigger_types": tuple(trigger or ()) or None,
        "description": description,
        "notification_email_addresses": tuple(email or ()) or None,
        "compressed_delivery": compressed,
    }
    change = {name: value for name, value in told.items() if value is not None}
    at_nylas(lambda runtime: update_webhook(runtime, webhook_id, change, as_json=as_json))


@webhooks_app.command("activate")
def webhooks_activate(webhook_id: WebhookId = None, as_json: AsJson = False) -> None:
    """Make a webhook active again, after Nylas gave it up or it was paused."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.webhooks import activate_webhook

    at_nylas(lambda runtime: activate_webhook(runtime, webhook_id, as_json=as_json))


@webhooks_app.command("rotate-secret")
def webhooks_rotate_secret(webhook_id: WebhookId = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Give a webhook a new secret, and print it, once. The old one stops at once."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.webhooks import rotate_secret

    at_nylas(lambda runtime: rotate_secret(runtime, webhook_id, yes=yes, as_json=as_json))


@webhooks_app.command("test")
def webhooks_test(
    url: Annotated[str | None, typer.Argument(help="The URL; that of our own web, unless given.")] = None,
    send: Annotated[
        bool,
        typer.Option(
            "--send",
            help="Also have Nylas send a test event. It is signed by a fixed secret that everybody knows, so our own "
            "web refuses it with 401, and logs that it came.",
        ),
    ] = False,
    trigger: Annotated[str, typer.Option(help="What the test event is to tell of.")] = "grant.expired",
    as_json: AsJson = False,
) -> None:
    """Try a webhook: what Nylas says of it, the challenge, and on demand a test event."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.doctor.webhook_trial import try_webhook

    at_nylas(lambda runtime: try_webhook(runtime, url, send=send, trigger=trigger, as_json=as_json))


@webhooks_app.command("delete")
def webhooks_delete(webhook_id: Id, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a webhook."""
    from ingress.at_nylas.asking import at_nylas
    from ingress.at_nylas.webhooks import delete_webhook

    at_nylas(lambda runtime: delete_webhook(runtime, webhook_id, yes=yes, as_json=as_json))
