"""The webhooks API: destinations, and the handshake that proves they listen."""

from urllib.parse import urlsplit

from simulator.answers import Answer, Json, RefusedError, bad_request, data, refused
from simulator.asked import Asked, one_of
from simulator.hooks import Hook
from simulator.state import State
from simulator.triggers import TRIGGERS

NGROK = (".ngrok.io", ".ngrok.app", ".ngrok.dev", ".ngrok-free.app", ".ngrok-free.dev")


async def create_webhook(state: State, asked: Asked) -> Answer:
    """Add a destination that passes the handshake; only this answer and a rotation ever show its secret."""
    sent = asked.body()
    _check(sent)
    for name in ("webhook_url", "trigger_types"):
        if not sent.get(name):
            raise refused(400, "70001", f"{name}.required")
    await _handshake(state, sent["webhook_url"])
    hook = new_hook(state, sent, sent["webhook_url"])
    state.deliveries.hooks[hook.id] = hook
    return data(_with_secret(hook))


async def list_webhooks(state: State, asked: Asked) -> Answer:
    """Return all of them; this list has no pages."""
    return data([hook.view() for hook in state.deliveries.hooks.values()])


async def get_webhook(state: State, asked: Asked) -> Answer:
    """Return one."""
    return data(_hook(state, asked).view())


async def put_webhook(state: State, asked: Asked) -> Answer:
    """Change what is named, in spite of PUT; a hook that becomes active must pass the handshake again.

    So must a new URL, unless it is for later, in a pause.
    """
    hook, sent = _hook(state, asked), asked.body()
    _check(sent)
    url = check_url(sent["webhook_url"]) if sent.get("webhook_url") else hook.url
    status = one_of(sent["status"], "active", "pause") if sent.get("status") else hook.status
    if status != "pause" and (url != hook.url or (status == "active" and hook.status != "active")):
        await _handshake(state, url, besides=hook)
    hook.become(status, state.now())
    hook.url, hook.updated_at = url, state.now()
    hook.trigger_types = sent.get("trigger_types") or hook.trigger_types
    hook.description = sent.get("description") or hook.description
    hook.notify = sent.get("notification_email_addresses") or hook.notify
    if sent.get("compressed_delivery") is not None:
        hook.compressed = sent["compressed_delivery"]
    return data(hook.view())


async def delete_webhook(state: State, asked: Asked) -> Answer:
    """Remove one."""
    del state.deliveries.hooks[_hook(state, asked).id]
    return data({"status": "success"})


async def rotate_secret(state: State, asked: Asked) -> Answer:
    """Give a new secret; what is sent from now on is signed with it, retries of older events too."""
    hook = _hook(state, asked)
    hook.secret, hook.updated_at = state.token(), state.now()
    return data(_with_secret(hook))


def new_hook(state: State, sent: Json, url: object, secret: str | None = None) -> Hook:
    """Build a destination from what was sent, not yet in use, or refuse; a caller of Nylas' can't choose its secret."""
    types = sent.get("trigger_types")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise bad_request("a webhook needs an http or https URL")
    if not isinstance(types, list) or not types or not all(isinstance(kind, str) for kind in types):
        raise bad_request("trigger_types is required")
    return Hook(
        id=state.ids.short_id(),
        url=url,
        secret=secret or state.options.webhook_secret or state.token(),
        trigger_types=types,
        created_at=state.now(),
        compressed=bool(sent.get("compressed_delivery")),
        description=str(sent.get("description") or ""),
        notify=sent.get("notification_email_addresses") or [],
    )


def refused_url(wrong: str) -> RefusedError:
    """Refuse a URL that did not prove itself."""
    return refused(400, "70005", f"unable.verify.webhook_url : {wrong}")


def check_url(url: object) -> str:
    """Return a URL that a webhook can have, or refuse. Plain http is taken too: this is a simulator."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host = parts.hostname or ""
    except ValueError as wrong:
        raise refused_url(str(wrong)) from wrong
    if not isinstance(url, str) or parts.scheme not in ("http", "https") or not host:
        raise refused_url("it must be an http or https URL")
    if host.endswith(NGROK):
        raise refused_url("ngrok is blocked")
    return url


def _check(sent: Json) -> None:
    """Refuse fields of a wrong type, and trigger types that do not exist."""
    kinds = {"description": str, "trigger_types": list, "notification_email_addresses": list}
    for name, kind in (kinds | {"compressed_delivery": bool}).items():
        if sent.get(name) is not None and not isinstance(sent[name], kind):
            raise bad_request(f"{name} has a wrong type")
    if unknown := [str(kind) for kind in sent.get("trigger_types") or () if str(kind) not in TRIGGERS]:
        raise bad_request(f"unknown trigger_types: {', '.join(unknown)}")


async def _handshake(state: State, url: object, besides: Hook | None = None) -> None:
    """Let the URL prove itself; each webhook needs one of its own."""
    url = check_url(url)
    if any(hook.url == url and hook is not besides for hook in state.deliveries.hooks.values()):
        raise refused_url("another webhook has this URL")
    if wrong := await state.deliveries.courier.challenge(url):
        raise refused_url(wrong)


def _with_secret(hook: Hook) -> Json:
    """Show it with its times too: Nylas' OpenAPI leaves them out here, but its Python SDK insists on them."""
    return hook.view() | {"webhook_secret": hook.secret}


def _hook(state: State, asked: Asked) -> Hook:
    hook = state.deliveries.hooks.get(asked.ref)
    if hook is None:  # 400, not 404, and a number for a type: here alone
        raise refused(400, "70000", "destination.id.not.found : record not found")
    return hook
