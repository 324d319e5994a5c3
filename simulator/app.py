"""Which path leads where."""

from uuid import uuid4

from aiohttp import web

from simulator import wire
from simulator.answers import Answer, RefusedError, usual
from simulator.api.routes import OPEN, WITH_KEY
from simulator.asked import Asked, Handler, ask
from simulator.control.routes import CONTROL
from simulator.gate import Route, gated
from simulator.page import page
from simulator.state import State


def application(state: State) -> web.Application:
    """Put the paths together around one state."""
    app = web.Application()
    for method, path, handler in OPEN:
        app.router.add_route(method, _matching(path), gated(state, path, handler, needs_key=False))
    for method, path, handler in WITH_KEY:
        app.router.add_route(method, _matching(path), gated(state, path, handler))
    for method, path, handler in CONTROL:
        app.router.add_route(method, _matching(path), _controlled(state, handler))
    app.router.add_route("GET", "/", _controlled(state, page))
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
