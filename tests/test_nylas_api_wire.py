"""What the real client makes of whatever comes over a real socket, on Nylas' good and bad days."""

import asyncio
import gzip
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from nylas_api import NylasClient, errors, open_http

KEY = "nyk_FAKE_API_KEY_0001"
CODE = "FAKE-ONE-TIME-CODE"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

Reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: object, *headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} x", f"Content-Length: {len(raw)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + raw


def grant(id_: str = "g1", **more: object) -> dict[str, object]:
    return {"id": id_, "provider": "google", "scope": [], "created_at": 1767225600, **more}


def page(*ids: str, **more: object) -> bytes:
    return answer(200, {"request_id": "r", "data": [grant(id_) for id_ in ids], **more})


class Wire:
    """A server with a list of replies, one for each request, and a memory of the requests."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = list(replies)
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.talks: set[asyncio.Task[None]] = set()

    def queries(self, name: str) -> list[str]:
        return [parse_qs(urlsplit(head.split()[1]).query).get(name, [""])[0] for head in self.heads]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.add(asyncio.current_task())
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.heads.append(head)
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
                self.bodies.append(await reader.readexactly(int(fields.get("content-length", 0))))
                reply = self.replies.pop(0)
                if isinstance(reply, bytes):
                    writer.write(reply)
                else:
                    await reply(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def nylas(*replies: Reply, **options: object) -> AsyncIterator[tuple[NylasClient, Wire]]:
    wire = Wire(replies)
    server = await asyncio.start_server(wire.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    http = open_http(connections=10)
    settings = {"deadline": timedelta(seconds=5), "now": lambda: NOW, **options}
    try:
        yield (
            NylasClient(api_uri=f"http://127.0.0.1:{port}/", api_key=KEY, client_id="app", http=http, **settings),
            wire,
        )
    finally:
        await http.aclose()
        server.close()
        for talk in wire.talks:
            talk.cancel()
        await asyncio.gather(*wire.talks, return_exceptions=True)


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_mid_answer(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"data":')
    await writer.drain()
    await asyncio.sleep(0.05)
    await reset(writer)


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(500, b"<html>"), errors.Unavailable),
        (answer(502, b""), errors.Unavailable),
        (answer(307, b"", "Location: https://elsewhere.example.com/"), errors.Unavailable),
        (answer(403, b"<html>"), errors.Unavailable),
        (answer(401, {"error": {"type": "x", "message": KEY}}), errors.Unauthorized),
        (answer(404, {"error": {"type": "grant.not_found"}}), errors.GrantNotFound),
        (answer(422, {"error": "no"}), errors.Rejected),
        (answer(423, {"error": {"type": "api.resource_blocked"}}), errors.Blocked),
        (answer(200, b"<html>"), errors.Garbled),
        (answer(200, b"not gzip", "Content-Encoding: gzip"), errors.Garbled),
        (answer(200, b"what", "Content-Encoding: br, gzip, gzip"), errors.Garbled),
        (answer(200, gzip.compress(b" " * 100_000_000), "Content-Encoding: gzip"), errors.Garbled),
        (answer(200, b" " * 5_000_000), errors.Garbled),
        (answer(500, b" " * 5_000_000), errors.Unavailable),
        (hang_up, errors.Unreachable),
        (reset, errors.Unreachable),
        (reset_mid_answer, errors.Unreachable),
        (b"HTTP/1.1 200 \xff\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", errors.Unreachable),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", errors.Unreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", errors.Unreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", errors.Unreachable),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", errors.Unreachable),
    ],
)
async def test_whatever_comes_over_the_wire_ends_in_one_of_our_errors(
    reply: Reply, kind: type[errors.NylasError]
) -> None:
    async with nylas(reply, reply) as (client, _):
        with pytest.raises(errors.NylasError) as caught:
            await client.get_grant("g1")
    assert type(caught.value) is kind, repr(caught.value)
    assert KEY not in str(caught.value)
    if kind in (errors.Unreachable, errors.Garbled):
        assert caught.value.outcome_unknown


async def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(json.dumps({"data": grant()}).encode())
    async with nylas(answer(200, body, "Content-Encoding: gzip")) as (client, _):
        assert (await client.get_grant("g1")).data.id == "g1"


@pytest.mark.parametrize("reply", [hang, drip])
async def test_the_deadline_bounds_the_whole_call_however_slowly_bytes_come(reply: Reply) -> None:
    async with nylas(reply, deadline=timedelta(seconds=0.3)) as (client, _):
        start = time.monotonic()
        with pytest.raises(errors.Unreachable, match=r"within 0\.3 s") as caught:
            await client.get_grant("g1")
    assert 0.2 < time.monotonic() - start < 4
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("over_httpcore", [False, True])
async def test_a_refused_connection_leaves_no_doubt_that_nothing_happened(over_httpcore: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with httpx.AsyncClient() if over_httpcore else open_http(connections=1) as http:
            client = NylasClient(api_uri=uri, api_key=KEY, client_id="app", http=http)
            with pytest.raises(errors.Unreachable) as caught:
                await client.exchange_code(code=CODE, redirect_uri="https://a/cb")
    assert not caught.value.outcome_unknown
    assert "could not be reached" in str(caught.value)


async def test_a_call_cancelled_from_outside_is_cancelled() -> None:
    arrived = asyncio.Event()

    async def arrive_and_hang(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hang(writer)

    async with nylas(arrive_and_hang) as (client, _):
        call = asyncio.create_task(client.get_grant("g1"))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
