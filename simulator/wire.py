"""How an answer goes back over the wire: whole, cut, half, or byte by byte."""

import asyncio
from socket import SO_LINGER, SOL_SOCKET
from struct import pack

from aiohttp import web

from simulator.answers import Answer

DRIP_SECONDS = 0.5


def whole(answer: Answer, request_id: str) -> web.Response:
    """Send all of it, with its request id in the header too."""
    headers = {"Content-Type": answer.content_type, "x-request-id": request_id, **answer.headers}
    return web.Response(body=answer.encoded(request_id), status=answer.status, headers=headers)


def cut(request: web.Request) -> web.Response:
    """Drop the connection; the response is only for the framework, and goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def reset(request: web.Request) -> web.Response:
    """Reset the connection in the sense of TCP: the caller's next read or write is an error, not an end."""
    if request.transport is not None:
        socket = request.transport.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
    return cut(request)


def bare(request: web.Request, data: bytes) -> web.Response:
    """Send these bytes and nothing else, and hang up."""
    if request.transport is not None:
        request.transport.write(data)
        request.transport.close()
    return web.Response()


async def half(request: web.Request, answer: Answer, request_id: str) -> web.StreamResponse:
    """Promise all of it, send the first half, hang up."""
    response, body = await _begin(request, answer, request_id)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def drip(request: web.Request, answer: Answer, request_id: str) -> web.StreamResponse:
    """Send it so slowly that no timeout between two bytes ever strikes."""
    response, body = await _begin(request, answer, request_id)
    for byte in body:
        await response.write(bytes([byte]))
        await asyncio.sleep(DRIP_SECONDS)
        if request.transport is None or request.transport.is_closing():
            break
    return response


async def _begin(request: web.Request, answer: Answer, request_id: str) -> tuple[web.StreamResponse, bytes]:
    body = answer.encoded(request_id)
    headers = {"Content-Type": answer.content_type, "x-request-id": request_id, **answer.headers}
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    return response, body
