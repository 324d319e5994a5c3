"""The `/_sim` control of grants and their events: expire, block, tell, hold back, release."""

from simulator.answers import Answer, Json, bad_request, refused
from simulator.api.webhooks import new_hook
from simulator.asked import Asked, one_of
from simulator.books import Grant
from simulator.deliveries import MODES, NYLAS_WAITS, out_of_order
from simulator.events import Event
from simulator.given import amount, fields, text, whole
from simulator.state import State
from simulator.triggers import CODES, letter

MOST_MAILS = 10_000


async def expire(state: State, asked: Asked) -> Answer:
    """Make a grant invalid and tell it: once, twice, later, or not before it is released."""
    grant, sent = _grant(state, asked), asked.body()
    was, grant.grant_status = grant.grant_status, "invalid"
    state.missed.stopped(grant.id, state.now())
    told = state.event("grant.expired", grant)
    if sent.get("hold"):
        state.deliveries.hold(told)
    elif sent.get("send", True):
        state.deliveries.send(told, times=whole(sent, "times", 1), delay=whole(sent, "delay_ms", 0) / 1000)
    changed = was != grant.grant_status
    shown = {"grant": grant.view(), "changed": changed, "delivery_id": told.id, "event": told.envelope(1)}
    return Answer(shown, flat=True)


async def block(state: State, asked: Asked) -> Answer:
    """Set or lift the block of a grant."""
    grant = _grant(state, asked)
    grant.blocked = bool(asked.body().get("blocked", True))
    return Answer({"grant": grant.view()}, flat=True)


async def show_grant(state: State, asked: Asked) -> Answer:
    """Return a grant, and what it missed: `missed` may still come, `lost` never will."""
    grant, missed = _grant(state, asked), state.missed
    return Answer(
        {
            "grant": grant.view(),
            "invalid_since": missed.since.get(grant.id),
            "missed": len(missed.kept.get(grant.id, ())),
            "lost": missed.lost[grant.id],
        },
        flat=True,
    )


async def mail(state: State, asked: Asked) -> Answer:
    """Let mails arrive, each with its `message.created`; those of an invalid grant are kept back."""
    grant, count = _grant(state, asked), whole(asked.body(), "count", 1)
    if count > MOST_MAILS:
        raise bad_request(f"count must not be above {MOST_MAILS}")
    now = state.now()
    letters = [letter(state.new_id(), grant.id, now) for _ in range(count)]
    events = [state.event_about("message.created", one, provider=grant.provider) for one in letters]
    if grant.grant_status == "valid":
        for event in events:
            state.deliveries.send(event)
    else:
        state.missed.keep(grant.id, events, now)
    return Answer({"delivery_ids": [event.id for event in events], "sent": grant.grant_status == "valid"}, flat=True)


async def tell(state: State, asked: Asked) -> Answer:
    """Send any event, true or not; several types and grants make several events.

    Only words: no grant changes. A grant nobody has heard of gets an event all the same.
    """
    sent = asked.body()
    kinds, refs = _several(sent, "type"), _several(sent, "grant_id")
    events = [_event(state, kind, ref, fields(sent, "object")) for ref in refs for kind in kinds]
    times, delay = whole(sent, "times", 1), whole(sent, "delay_ms", 0) / 1000
    order = one_of(sent.get("order", "as_given"), "as_given", "shuffled")
    line = [one for one in events for _ in range(times)]
    for one in out_of_order(line) if order == "shuffled" else line:
        state.deliveries.send(one, delay=delay)
    return Answer({"delivery_ids": [one.id for one in events]}, flat=True)


async def list_deliveries(state: State, asked: Asked) -> Answer:
    """Return each attempt, how many are still to come, and which events are held back.

    With `?wait=5` it first waits, at most so many seconds, until none is to come.
    """
    post = state.deliveries
    await post.settled(asked.whole("wait", 0))
    body = {"deliveries": list(post.log), "pending": post.pending, "held": list(post.held)}
    return Answer(body, flat=True)


async def release(state: State, asked: Asked) -> Answer:
    """Send an event that was held back: it comes late, and may be about a world that has moved on."""
    held = state.deliveries.held.pop(asked.ref, None)
    if held is None:
        raise refused(404, "api.not_found_error", "No event of this id is held back.")
    state.deliveries.send(held)
    return Answer({"delivery_id": held.id}, flat=True)


async def set_delivery(state: State, asked: Asked) -> Answer:
    """Set how further events go; what is not named returns to its default, but for the waits.

    The waits before a retry are given one by one, or by a `time_scale`: 1 waits as long as Nylas, 0.01 a
    hundredth of that. `retry_to_all` sends each retry to all webhooks of its type, as Nylas does.
    """
    sent, post = asked.body(), state.deliveries
    waits, scale = sent.get("retry_waits_ms"), sent.get("time_scale")
    if not isinstance(waits, list | None):
        raise bad_request("retry_waits_ms must be a list of numbers")
    own_waits = [amount(wait, "each of retry_waits_ms") for wait in waits or []]
    scale = None if scale is None else amount(scale, "time_scale")
    post.mode = one_of(sent.get("mode", "normal"), *MODES)
    post.delay = whole(sent, "delay_ms", 0) / 1000
    post.parallel = max(1, whole(sent, "parallel", 1))
    post.retry_to_all = bool(sent.get("retry_to_all", False))
    if waits is not None:
        post.waits = tuple(wait / 1000 for wait in own_waits)
    elif scale is not None:
        post.waits = tuple(wait * scale for wait in NYLAS_WAITS)
    shown = {"mode": post.mode, "delay_ms": post.delay * 1000, "parallel": post.parallel}
    return Answer(shown | {"retry_waits_s": post.waits, "retry_to_all": post.retry_to_all}, flat=True)


async def add_webhook(state: State, asked: Asked) -> Answer:
    """Add a destination without the handshake, and say its secret."""
    sent: Json = {"trigger_types": list(CODES)} | asked.body()
    sent.setdefault("compressed_delivery", sent.get("compressed"))
    hook = new_hook(state, sent, sent.get("url"), secret=text(sent, "secret"))
    state.deliveries.hooks[hook.id] = hook
    return Answer(hook.view() | {"webhook_secret": hook.secret}, flat=True)


def _grant(state: State, asked: Asked) -> Grant:
    grant = state.books.find(asked.ref)
    if grant is None:
        raise refused(404, "grant.not_found", "Grant not found.")
    return grant


def _event(state: State, kind: str, ref: str, more: Json) -> Event:
    if grant := state.books.find(ref):
        return state.event(kind, grant, **more)
    return state.event_about(kind, {"code": CODES.get(kind, 0), "grant_id": ref} | more)


def _several(sent: Json, name: str) -> list[str]:
    """Return one value or a list of them as a list."""
    given = sent.get(name)
    values = [value for value in (given if isinstance(given, list) else [given]) if isinstance(value, str)]
    if not values or (isinstance(given, list) and len(values) < len(given)):
        raise bad_request(f"{name} must be a string, or a list of them")
    return values
