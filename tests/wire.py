"""A Nylas of few words: a real socket that answers each request of the real client by the next reply on a list."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from nylas_api import NylasClient, open_http

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
        self.new_client: Callable[..., NylasClient]

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
    wire = options.pop("wire", None) or Wire(replies)
    server = await asyncio.start_server(wire.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    http = open_http(connections=20)
    settings = {"deadline": timedelta(seconds=5), "now": lambda: NOW, "attempts": 1, "chance": lambda: 0.05, **options}
    settings |= {"api_uri": f"http://127.0.0.1:{port}/", "api_key": KEY, "client_id": "app", "http": http}
    wire.new_client = lambda **more: NylasClient(**(settings | more))
    try:
        yield wire.new_client(), wire
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
