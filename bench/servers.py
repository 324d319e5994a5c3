"""A stand-in for Nylas that is quick enough not to be what a course measures.

The simulator tells the truth about Nylas in many ways, and spends a core on 3,500 calls a second. This one knows a row
of grants, of users with numbers, that are invalid until they are authenticated anew; it answers what re-authenticating
them asks, after a latency, and counts the calls.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

import httptools
import httpx
import uvloop

from ingress.children import Child, accepts, free_port

CREDENTIAL = "service-account"
CUSTOM = "POST /v3/connect/custom"
CREATED = 1_700_000_000
PAGE = 10
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found"}

Answer = tuple[int, object]


def email_of(number: int) -> str:
    """The address of a user."""
    return f"user-{number}@example.com"


def grant_id_of(number: int) -> str:
    """The id of a user's grant."""
    return f"00000000-0000-4000-8000-{number:012d}"


class Books:
    """The grants, which of them were authenticated anew and when, and the calls."""

    def __init__(self, grants: int) -> None:
        self.numbers = range(grants)
        self.renewed: dict[int, int] = {}
        self.calls: Counter[str] = Counter()

    def answer(self, method: str, path: str, query: str, body: bytes) -> Answer:
        """Do what a call asks."""
        self.calls[f"{method} {path}"] += 1
        match method, path.strip("/").split("/"):
            case "POST", ["v3", "connect", "custom"]:
                return self._renew(body)
            case "GET", ["v3", "grants"]:
                asked = parse_qs(query)
                first, size = int(asked.get("offset", ["0"])[0]), int(asked.get("limit", [str(PAGE)])[0])
                return 200, [self._grant(number) for number in self.numbers[first : first + size]]
            case "GET", ["v3", "grants", grant_id] if self._knows(number := _number(grant_id.rpartition("-")[2])):
                return 200, self._grant(number)
        return 404, None

    def _renew(self, body: bytes) -> Answer:
        settings = json.loads(body)["settings"]
        number = _number(settings["email_address"].partition("@")[0].rpartition("-")[2])
        if not self._knows(number) or settings.get("credential_id") != CREDENTIAL:
            return 400, None
        self.renewed[number] = int(time.time())
        return 201, self._grant(number)

    def _knows(self, number: int) -> bool:
        return number in self.numbers

    def _grant(self, number: int) -> dict[str, object]:
        return {
            "id": grant_id_of(number),
            "provider": "google",
            "grant_status": "valid" if number in self.renewed else "invalid",
            "email": email_of(number),
            "scope": ["https://www.googleapis.com/auth/gmail.modify"],
            "settings": {"credential_id": CREDENTIAL, "email_address": email_of(number)},
            "credential_id": CREDENTIAL,
            "created_at": CREATED,
            "updated_at": self.renewed.get(number, CREATED),
        }


class Conversation(asyncio.Protocol):
    """One connection: each request is answered after the latency."""

    def __init__(self, books: Books, latency: float) -> None:
        self._books, self._latency = books, latency
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Let the parser have it, which calls the methods below."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        """Take a part of its address."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer it."""
        method, url = self._parser.get_method().decode(), urlsplit(self._url.decode())
        if url.path == "/_bench/calls":
            calls = dict(self._books.calls)
            if method == "DELETE":
                self._books.calls.clear()
                self._books.renewed.clear()
            self._send(200, calls)
            return
        status, data = self._books.answer(method, url.path, url.query, self._body)
        said: dict[str, object] = {"request_id": f"{self._books.calls.total()}"}
        said |= {"data": data} if status < 400 else {"error": {"type": "not_found_error", "message": "no such thing"}}
        self._loop.call_later(self._latency, self._send, status, said)

    def _send(self, status: int, body: object) -> None:
        if self._transport.is_closing():
            return
        text = json.dumps(body, separators=(",", ":")).encode()
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}"
        self._transport.write(head.encode() + b"\r\n\r\n" + text)


class Nylas:
    """A stand-in that runs: where it is, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def calls(self) -> dict[str, int]:
        """How often each thing was asked since `forget`."""
        counts: dict[str, int] = httpx.get(f"{self.url}/_bench/calls", trust_env=False).json()
        return counts

    def forget(self) -> None:
        """Let all grants be invalid again, and count anew."""
        httpx.delete(f"{self.url}/_bench/calls", trust_env=False)


@contextmanager
def nylas(*, grants: int, latency_ms: int, log: Path) -> Iterator[Nylas]:
    """Run the stand-in as a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "bench.servers", str(port), str(grants), str(latency_ms)]
    child = Child("nylas", command, log=log)
    try:
        child.wait_until(lambda: accepts(port), seconds=15)
        yield Nylas(port)
    finally:
        child.stop()


async def _serve(port: int, grants: int, latency_ms: int) -> None:
    books, loop = Books(grants), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(books, latency_ms / 1_000), "127.0.0.1", port, backlog=1_024)
    await server.serve_forever()


def _number(digits: str) -> int:
    return int(digits) if digits.isdecimal() else -1


if __name__ == "__main__":
    uvloop.run(_serve(*(int(argument) for argument in sys.argv[1:])))
