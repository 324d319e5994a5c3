"""The webhooks API: destinations, and the handshake that proves they listen."""

from simulator.answers import Answer, Json, bad_request, data, refused
from simulator.asked import Asked, one_of
from simulator.hooks import Hook
from simulator.state import State


async def create_webhook(state: State, asked: Asked) -> Answer:
    """Add a destination that passes the handshake; only this answer ever shows its secret."""
    sent = asked.body()
    hook = new_hook(state, sent, sent.get("webhook_url"))
    await _handshake(state, hook.url)
    state.deliveries.hooks[hook.id] = hook
    return data(hook.view() | {"webhook_secret": hook.secret})


async def list_webhooks(state: State, asked: Asked) -> Answer:
    """Return all of them; this list has no pages."""
    return data([hook.view() for hook in state.deliveries.hooks.values()])


async def get_webhook(state: State, asked: Asked) -> Answer:
    """Return one."""
    return data(_hook(state, asked).view())


async def put_webhook(state: State, asked: Asked) -> Answer:
    """Change what is named, in spite of PUT; a hook that becomes active must pass the handshake again."""
    hook, sent = _hook(state, asked), asked.body()
    url = sent.get("webhook_url", hook.url)
    types = sent.get("trigger_types", hook.trigger_types)
    status = one_of(sent.get("status", hook.status), "active", "pause")
    if not isinstance(url, str) or not isinstance(types, list):
        raise bad_request("webhook_url must be a string and trigger_types a list")
    if status == "active" and (hook.status != "active" or url != hook.url):
        await _handshake(state, url)
    now = state.now()
    if status != hook.status:
        hook.status, hook.status_updated_at = status, now
    hook.url, hook.trigger_types, hook.updated_at = url, types, now
    hook.description = str(sent.get("description", hook.description))
    hook.compressed = bool(sent.get("compressed_delivery", hook.compressed))
    return data(hook.view())


async def delete_webhook(state: State, asked: Asked) -> Answer:
    """Remove one."""
    del state.deliveries.hooks[_hook(state, asked).id]
    return data({"status": "success"})


def new_hook(state: State, sent: Json, url: object) -> Hook:
    """Build a destination from what was sent, not yet in use, or refuse."""
    types = sent.get("trigger_types")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise bad_request("a webhook needs an http or https URL")
    if not isinstance(types, list) or not types:
        raise bad_request("trigger_types is required")
    return Hook(
        id=state.ids.short_id(),
        url=url,
        secret=sent.get("secret") or state.options.webhook_secret or state.token(),
        trigger_types=types,
        created_at=state.now(),
        compressed=bool(sent.get("compressed_delivery", sent.get("compressed", False))),
        description=str(sent.get("description", "")),
        notify=sent.get("notification_email_addresses") or [],
    )


async def _handshake(state: State, url: str) -> None:
    if wrong := await state.deliveries.challenge(url):
        raise refused(400, "70005", f"unable.verify.webhook_url : {wrong}")


def _hook(state: State, asked: Asked) -> Hook:
    hook = state.deliveries.hooks.get(asked.ref)
    if hook is None:  # 400, not 404, and a number for a type: here alone
        raise refused(400, "70000", "destination.id.not.found : record not found")
    return hook
