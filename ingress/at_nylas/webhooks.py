"""The commands about webhooks: where Nylas sends its notifications, and the secrets that sign them."""

from collections.abc import Sequence
from typing import NoReturn

from ingress.at_nylas.asking import give_up, made
from ingress.at_nylas.printing import Flat, put_list, put_one
from ingress.terminal import agree, fail, out, put_json, say
from nylas_api import GRANT_TRIGGERS, NewWebhook, NotFound, Rejected, Webhook, WebhookChange
from worker.runtime import Runtime

COLUMNS = ("id", "webhook_url", "status", "is_ours", "trigger_types", "description")
SETTING = "EVERGRANT_NYLAS_WEBHOOK_SECRET"
KEPT_FOR = 30
"""For how many minutes the old secret may still be met: Nylas' last attempt comes 10 to 20 minutes after the first."""


async def list_webhooks(runtime: Runtime, *, as_json: bool) -> None:
    """Print all webhooks of the application, and which of them is ours."""
    webhooks = (await runtime.context.nylas.webhooks.list()).data
    put_list([_flat(runtime, webhook) for webhook in webhooks], COLUMNS, as_json=as_json)


async def create_webhook(
    runtime: Runtime,
    url: str | None,
    *,
    triggers: Sequence[str],
    description: str | None,
    emails: Sequence[str],
    compressed: bool,
    as_json: bool,
) -> None:
    """Make a webhook, ours unless another URL is given, and print its secret, which nobody can ask for again."""
    url = url or runtime.settings.webhook_url
    wanted = made(
        NewWebhook,
        webhook_url=url,
        trigger_types=tuple(triggers) or GRANT_TRIGGERS,
        description=description,
        notification_email_addresses=tuple(emails) or None,
        compressed_delivery=compressed or None,
    )
    webhooks = runtime.context.nylas.webhooks
    if there := [webhook for webhook in (await webhooks.list()).data if webhook.webhook_url == url]:
        fail(
            f"The webhook {there[0].id} has this URL already, and each needs its own.\n"
            f"If its secret is lost: evergrant webhooks rotate-secret {there[0].id}"
        )
    try:
        webhook = (await webhooks.create(wanted)).data
    except Rejected as error:
        give_up(error, _must_answer(url))
    _put_secret(runtime, webhook, as_json=as_json)
    say(
        f"The webhook {webhook.id} is there. Set {SETTING} to the secret on stdout, and start web again; it is not "
        "told a second time. Until then notifications get 503, and Nylas tries each of them three times only."
    )


async def rotate_secret(runtime: Runtime, webhook_id: str | None, *, yes: bool, as_json: bool) -> None:
    """Give a webhook a new secret, and print it."""
    webhook = await _the_webhook(runtime, webhook_id)
    say("The old secret stops at once: what is refused before web knows the new one is not sent again.")
    agree(f"Rotate the secret of {webhook.id} ({webhook.webhook_url})?", yes=yes)
    _put_secret(runtime, (await runtime.context.nylas.webhooks.rotate_secret(webhook.id)).data, as_json=as_json)
    say(
        f"Now set {SETTING} to new,old: the secret on stdout, a comma, the one that was set before; and start web "
        f"again. Take the old one out after {KEPT_FOR} minutes, since what was under way is still signed by it. "
        "Then: evergrant sync"
    )


async def update_webhook(runtime: Runtime, webhook_id: str | None, change: Flat, *, as_json: bool) -> None:
    """Change what is given; a list that is given replaces the one that is there."""
    if not change:
        fail("There is nothing to change: say what, by one of the options (--help names them)", code=2)
    webhook = await _the_webhook(runtime, webhook_id)
    try:
        changed = await runtime.context.nylas.webhooks.update(webhook.id, made(WebhookChange, **change))
    except Rejected as error:
        give_up(error, _must_answer(change.get("webhook_url") or webhook.webhook_url or ""))
    put_one(_flat(runtime, changed.data), as_json=as_json)


async def activate_webhook(runtime: Runtime, webhook_id: str | None, *, as_json: bool) -> None:
    """Make a webhook active again: Nylas does not do so by itself, nor send what happened meanwhile."""
    await update_webhook(runtime, webhook_id, {"status": "active"}, as_json=as_json)
    say("It is active. What happened while it was not is not sent later: evergrant sync finds it.")


async def delete_webhook(runtime: Runtime, webhook_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete a webhook, and its secret with it."""
    webhook = await _the_webhook(runtime, webhook_id)
    if webhook.webhook_url == runtime.settings.webhook_url:
        say("It is our own: without it only the hourly sync tells what happens to grants.")
    agree(f"Delete the webhook {webhook.id} ({webhook.webhook_url})?", yes=yes)
    await runtime.context.nylas.webhooks.delete(webhook.id)
    if as_json:
        put_json({"id": webhook.id, "webhook_url": webhook.webhook_url, "deleted": True})
    say("The webhook is deleted.")


async def _the_webhook(runtime: Runtime, webhook_id: str | None) -> Webhook:
    """Find a webhook by its id, or our own by its URL; exits with 1 where there is none."""
    webhooks = runtime.context.nylas.webhooks
    if webhook_id is not None:
        try:
            return (await webhooks.get(webhook_id)).data
        except NotFound as error:
            give_up(error, "See which there are: evergrant webhooks list")
    ours = [one for one in (await webhooks.list()).data if one.webhook_url == runtime.settings.webhook_url]
    return ours[0] if ours else _none_is_ours(runtime)


def _none_is_ours(runtime: Runtime) -> NoReturn:
    fail(f"No webhook points to {runtime.settings.webhook_url}. Make one: evergrant webhooks create")


def _put_secret(runtime: Runtime, webhook: Webhook, *, as_json: bool) -> None:
    """Print the secret alone, to be piped or copied, or with the webhook it belongs to."""
    if webhook.webhook_secret is None:
        again = f"evergrant webhooks rotate-secret {webhook.id}"
        fail(f"Nylas told no secret for {webhook.id}. Have it make another: {again}")
    secret = webhook.webhook_secret.get_secret_value()
    if as_json:
        put_one(_flat(runtime, webhook) | {"webhook_secret": secret}, as_json=True)
    else:
        out.print(secret, soft_wrap=True, markup=False)


def _must_answer(url: str) -> str:
    return (
        f"Before Nylas takes a URL, it calls it: GET {url}?challenge=… must answer 200 and just that value within "
        "10 s. Is web running, and reached from the internet at this address, by https? Try: evergrant webhooks test"
    )


def _flat(runtime: Runtime, webhook: Webhook) -> Flat:
    return {
        "id": webhook.id,
        "webhook_url": webhook.webhook_url,
        "status": webhook.status,
        "is_ours": webhook.webhook_url == runtime.settings.webhook_url,
        "trigger_types": list(webhook.trigger_types),
        "description": webhook.description,
        "notification_email_addresses": list(webhook.notification_email_addresses),
        "compressed_delivery": webhook.compressed_delivery,
        "status_updated_at": webhook.status_updated_at,
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }
