"""Which path leads where."""

from uuid import uuid4

from aiohttp import web

from simulator import control, control_events, custom_auth, grants, oauth, tokens, webhooks, wire
from simulator.answers import Answer, RefusedError, usual
from simulator.asked import Asked, Handler, ask
from simulator.gate import Route, gated
from simulator.state import State

OPEN: list[tuple[str, str, Handler]] = [
    ("GET", "/v3/connect/auth", oauth.authorize),
    ("POST", "/v3/connect/token", tokens.token),
]
WITH_KEY: list[tuple[str, str, Handler]] = [
    ("POST", "/v3/connect/custom", custom_auth.custom_auth),
    ("GET", "/v3/grants", grants.list_grants),
    ("GET", "/v3/grants/{id}", grants.get_grant),
    ("PATCH", "/v3/grants/{id}", grants.patch_grant),
    ("DELETE", "/v3/grants/{id}", grants.delete_grant),
    ("POST", "/v3/webhooks", webhooks.create_webhook),
    ("GET", "/v3/webhooks", webhooks.list_webhooks),
    ("GET", "/v3/webhooks/{id}", webhooks.get_webhook),
    ("PUT", "/v3/webhooks/{id}", webhooks.put_webhook),
    ("DELETE", "/v3/webhooks/{id}", webhooks.delete_webhook),
]
CONTROL: list[tuple[str, str, Handler]] = [
    ("POST", "/_sim/reset", control.reset),
    ("POST", "/_sim/seed", control.seed),
    ("POST", "/_sim/consent", control.consent),
    ("POST", "/_sim/consent/{id}", oauth.consent),
    ("POST", "/_sim/callback-uris", control.callback_uris),
    ("POST", "/_sim/credentials/{id}/break", control.break_credential),
    ("POST", "/_sim/credentials/{id}/repair", control.repair_credential),
    ("POST", "/_sim/faults", control.add_fault),
    ("GET", "/_sim/faults", control.list_faults),
    ("DELETE", "/_sim/faults", control.delete_faults),
    ("GET", "/_sim/calls", control.list_calls),
    ("DELETE", "/_sim/calls", control.delete_calls),
    ("POST", "/_sim/grants/{id}/expire", control_events.expire),
    ("POST", "/_sim/grants/{id}/block", control_events.block),
    ("POST", "/_sim/events", control_events.tell),
    ("GET", "/_sim/deliveries", control_events.list_deliveries),
    ("POST", "/_sim/deliveries/{id}/release", control_events.release),
    ("POST", "/_sim/delivery", control_events.set_delivery),
    ("POST", "/_sim/webhooks", control_events.add_webhook),
]


def application(state: State) -> web.Application:
    """Put the paths together around one state."""
    app = web.Application()
    for method, path, handler in OPEN:
        app.router.add_route(method, _matching(path), gated(state, path, handler, needs_key=False))
    for method, path, handler in WITH_KEY:
        app.router.add_route(method, _matching(path), gated(state, path, handler))
    for method, path, handler in CONTROL:
        app.router.add_route(method, _matching(path), _controlled(state, handler))
    app.router.add_route("GET", "/healthz", _controlled(state, _health))
    # Even what is not simulated is counted, and can be given a fault.
    app.router.add_route("*", "/v3/{rest:.*}", gated(state, None, _unknown))
    return app


def _matching(path: str) -> str:
    return path.replace("{id}", "{ref}")


def _controlled(state: State, handler: Handler) -> Route:
    async def route(request: web.Request) -> web.StreamResponse:
        try:
            answer = await handler(state, await ask(request))
        except RefusedError as refusal:
            answer = refusal.answer
        return wire.whole(answer, str(uuid4()))

    return route


async def _health(state: State, asked: Asked) -> Answer:
    return Answer({"status": "ok"}, flat=True)


async def _unknown(state: State, asked: Asked) -> Answer:
    return usual(404)
