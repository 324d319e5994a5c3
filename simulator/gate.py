"""The gate every `/v3` call passes: counted, struck by faults, its key looked at, slowed down."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from simulator import wire
from simulator.answers import Answer, RefusedError, usual
from simulator.asked import Asked, Handler, ask
from simulator.faults import Fault
from simulator.limiter import group_of
from simulator.people import email_in
from simulator.spoilt import WAYS, WHOLE, spoilt
from simulator.state import State

Route: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Work: TypeAlias = Callable[[], Awaitable[Answer]]


def gated(state: State, template: str | None, handler: Handler, *, needs_key: bool = True) -> Route:
    """Wrap a handler. One wrapper, not a stack of middlewares: it must carry thousands of calls a second."""

    own_group = group_of(template) if template else None

    async def route(request: web.Request) -> web.StreamResponse:
        asked = await ask(request)
        calls, request_id = state.calls, state.request_ids.new_id()
        path = template or request.path
        group = own_group or group_of(path)
        call = calls.arrive(request.method, request.path, path, group, state.names(_subject(asked, path)))
        code = asked.sent.get("code") if path == "/v3/connect/token" and asked.sent else None
        if isinstance(code, str):
            calls.codes[code] += 1

        async def work() -> Answer:
            if needs_key and not state.knows_key(_bearer(request)):
                return usual(401)
            if refusal := state.limits.refusal(group, state.clock.exact()):
                return refusal
            try:
                answer = await handler(state, asked)
            except RefusedError as refused:
                return refused.answer
            if path == "/v3/connect/custom" and (mailbox := _subject(asked, path)):
                calls.renewals[mailbox] += 1
                calls.renewed_at[mailbox].append((call.arrived, time.time()))
            return answer

        status: int | None = None
        try:
            response, status = await _answered(state, request, request_id, work)
        finally:
            calls.leave(call, status)
            if isinstance(code, str):
                calls.code_ends[code].append(status)
        return response

    return route


async def _answered(
    state: State, request: web.Request, request_id: str, work: Work
) -> tuple[web.StreamResponse, int | None]:
    """Do the work, with or without an accident; a status of None is one that never arrived whole."""
    least = state.options.latency_ms / 1000
    if fault := state.faults.take(request.method, request.path):
        return await _spoilt(fault, max(fault.delay, least), request, request_id, work)
    began = asyncio.get_running_loop().time()
    answer = await work()
    # The wait comes after the effect, so a caller that dies meanwhile has left its mark.
    rest = began + least - asyncio.get_running_loop().time()
    if rest > 0:
        await asyncio.sleep(rest)
    return wire.whole(answer, request_id), answer.status


async def _spoilt(
    fault: Fault, delay: float, request: web.Request, request_id: str, work: Work
) -> tuple[web.StreamResponse, int | None]:
    if fault.mode in ("after_effect_drop", "hang_after_effect"):
        answer = await work()
        await asyncio.sleep(delay)
        if fault.mode == "after_effect_drop":
            return wire.cut(request), None
        return wire.whole(answer, request_id), answer.status

    await asyncio.sleep(delay)
    if fault.mode in ("drop", "reset"):
        return wire.cut(request) if fault.mode == "drop" else wire.reset(request), None
    answer = fault.answer or await work()
    match fault.mode:
        case "half_close":
            return await wire.half(request, answer, request_id), None
        case "slow_drip":
            return await wire.drip(request, answer, request_id), answer.status
        case mode if mode in WAYS:
            sent = wire.bare(request, spoilt(mode, answer, request_id))
            return sent, answer.status if mode in WHOLE else None
        case _:
            return wire.whole(answer, request_id), answer.status


def _bearer(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _subject(asked: Asked, template: str) -> str | None:
    """Return which grant a call is about, before any work is done."""
    if template == "/v3/grants/{id}":
        return asked.ref
    if template == "/v3/connect/custom" and asked.sent:
        settings = asked.sent.get("settings")
        return email_in(settings) if isinstance(settings, dict) else None
    return None
