"""Webhooks: where Nylas sends its notifications, and the secrets that sign them."""

from typing import Literal

from nylas_api.conversation import Conversation
from nylas_api.lenient import (
    Answer,
    Fields,
    Flag,
    MaybeMoment,
    MaybeSecret,
    MaybeText,
    Said,
    Text,
    Words,
    read_many,
    read_nothing,
    read_one,
)
from nylas_api.paging import items
from nylas_api.request import Request, step
from nylas_api.sent import Sent

PATH = "/v3/webhooks"

GRANT_TRIGGERS = ("grant.created", "grant.updated", "grant.expired", "grant.deleted", "grant.imap_sync_completed")
"""The notifications about grants."""


class Webhook(Said):
    """A webhook destination as Nylas describes it; only `id` is insisted on.

    `status` is `active`, `pause`, `failing` or `failed`; some texts of Nylas know `inactive` and
    `paused`. `webhook_secret` is told once: when it is made.
    """

    id: Text
    webhook_url: MaybeText = None
    trigger_types: Words = ()
    description: MaybeText = None
    status: MaybeText = None
    notification_email_addresses: Words = ()
    compressed_delivery: Flag = False
    webhook_secret: MaybeSecret = None
    status_updated_at: MaybeMoment = None
    created_at: MaybeMoment = None
    updated_at: MaybeMoment = None


class WebhookIpAddresses(Said):
    """The addresses from which notifications come."""

    ip_addresses: Words = ()
    updated_at: MaybeMoment = None


class NewWebhook(Sent):
    """A destination to add: a public https URL that no other webhook has.

    `compressed_delivery` asks for gzip; the signature is then over the compressed bytes.
    """

    webhook_url: str
    trigger_types: tuple[str, ...]
    description: str | None = None
    notification_email_addresses: tuple[str, ...] | None = None
    compressed_delivery: bool | None = None


class WebhookChange(Sent):
    """What to change of a destination. Making it active again sends it a challenge, as creating it does."""

    webhook_url: str | None = None
    trigger_types: tuple[str, ...] | None = None
    description: str | None = None
    notification_email_addresses: tuple[str, ...] | None = None
    compressed_delivery: bool | None = None
    status: Literal["active", "pause"] | None = None


class Webhooks:
    """Nylas' `/v3/webhooks`. Every call may raise any NylasError; NotFound for an unknown id."""

    def __init__(self, conversation: Conversation) -> None:
        """Talk through this conversation."""
        self._conversation = conversation

    async def list(self) -> Answer[tuple[Webhook, ...]]:
        """Look at all destinations (GET /v3/webhooks); the list has no pages."""
        return items(await self._conversation.ask(Request("GET", PATH, "webhooks", read_many(Webhook))))

    async def get(self, webhook_id: str) -> Answer[Webhook]:
        """Look at one destination (GET /v3/webhooks/{id})."""
        return await self._conversation.ask(Request("GET", _at(webhook_id), "webhooks", read_one(Webhook)))

    async def create(self, webhook: NewWebhook) -> Answer[Webhook]:
        """Add a destination; this answer alone tells its secret (POST /v3/webhooks).

        Before it answers Nylas sends `GET <webhook_url>?challenge=…` and wants exactly that back within
        10 s, else it is Rejected. Not repeated after a lost answer: look first.
        """
        request = Request("POST", PATH, "webhooks", read_one(Webhook), json=webhook.body(), repeatable=False)
        return await self._conversation.ask(request)

    async def update(self, webhook_id: str, change: WebhookChange) -> Answer[Webhook]:
        """Change what is given (PUT /v3/webhooks/{id}, partial in spite of its method)."""
        request = Request("PUT", _at(webhook_id), "webhooks", read_one(Webhook), json=change.body())
        return await self._conversation.ask(request)

    async def delete(self, webhook_id: str) -> Answer[None]:
        """Remove a destination (DELETE /v3/webhooks/{id})."""
        return await self._conversation.ask(Request("DELETE", _at(webhook_id), "webhooks", read_nothing))

    async def rotate_secret(self, webhook_id: str) -> Answer[Webhook]:
        """Give a destination a new secret, told in this answer alone (POST /v3/webhooks/rotate-secret/{id}).

        The old one stops at once: what is under way is still signed by it, so keep both for a while.
        Not repeated after a lost answer: the secret may have changed, and rotating again is what helps.
        """
        request = Request(
            "POST", f"{PATH}/rotate-secret/{_step(webhook_id)}", "webhooks", read_one(Webhook), repeatable=False
        )
        return await self._conversation.ask(request)

    async def mock_payload(self, trigger_type: str, *, webhook_url: str | None = None) -> Answer[Fields]:
        """Get an example of a notification (POST /v3/webhooks/mock-payload).

        The URL is not called; Nylas' OpenAPI asks for it, its SDKs don't send it.
        """
        body = {"trigger_type": trigger_type} | ({"webhook_url": webhook_url} if webhook_url else {})
        return await self._conversation.ask(
            Request("POST", f"{PATH}/mock-payload", "webhooks", _read_fields, json=body)
        )

    async def send_test_event(self, trigger_type: str, *, webhook_url: str) -> Answer[bool | None]:
        """Have a made-up notification sent to a URL, signed by the fixed secret `mock-webhook-secret`.

        Gives whether the URL took it, None if Nylas didn't say. Not repeated after a lost answer: it may
        have been sent. Source: POST /v3/webhooks/send-test-event.
        """
        request = Request(
            "POST",
            f"{PATH}/send-test-event",
            "webhooks",
            _read_success,
            json={"trigger_type": trigger_type, "webhook_url": webhook_url},
            repeatable=False,
        )
        return await self._conversation.ask(request)

    async def ip_addresses(self) -> Answer[WebhookIpAddresses]:
        """Ask which addresses notifications come from (GET /v3/webhooks/ip-addresses)."""
        return await self._conversation.ask(
            Request("GET", f"{PATH}/ip-addresses", "webhooks", read_one(WebhookIpAddresses))
        )


def _read_fields(body: object) -> dict[str, object]:
    match body:
        case {"data": dict() as fields}:
            return fields
        case _:
            raise ValueError("there is no data in it")


def _read_success(body: object) -> bool | None:
    match body:
        case {"data": "success"}:
            return True
        case {"data": "failed"}:
            return False
        case _:
            read_nothing(body)
            return None


def _at(webhook_id: str) -> str:
    return f"{PATH}/{_step(webhook_id)}"


def _step(webhook_id: str) -> str:
    return step("webhook id", webhook_id)
