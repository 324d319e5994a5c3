"""The way out: no connection is made to what only this machine or its network can reach, however it is written."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import trustme

from tasks.notices.addresses import NotAllowed, checked_url, is_public
from tasks.notices.outbound import Answer, Outbound, Unanswered


@dataclass
class Listener:
    """Counts who connects, and says what it was told to say."""

    port: int = 0
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)
    says: bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    then: bytes = b""
    """What it goes on saying for ever."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear one request, and answer."""
        self.connections += 1
        try:
            self.heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.says)
            while self.then:
                writer.write(self.then)
                await writer.drain()
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(**how: Any) -> AsyncIterator[Listener]:
    """A listener on every address of this machine."""
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, **how)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()


@asynccontextmanager
async def outbound(**how: Any) -> AsyncIterator[Outbound]:
    """A way out that waits for half a second."""
    way = Outbound(**{"timeout": timedelta(seconds=0.5)} | how)
    try:
        yield way
    finally:
        await way.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",  # noqa: S104 - nothing listens there
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "[fe80::1]",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "[fd00::1]",
        "224.0.0.1",
        "255.255.255.255",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
    ],
)
async def test_nothing_connects_to_an_address_that_is_not_public(host: str) -> None:
    async with listening() as listener, outbound() as way:
        with pytest.raises(Unanswered) as refused:
            await way.post(f"https://{host}:{listener.port}/x", b"{}", {})
        assert listener.connections == 0
        assert "127.0.0.1" not in str(refused.value), "what a name resolves to is nobody's business"


async def test_who_is_allowed_private_addresses_reaches_the_same_listener() -> None:
    """So the table above proves something."""
    async with listening() as listener, outbound(allow_private=True) as way:
        for host in ("127.0.0.1", "localhost", "0x7f000001", "0x7f.1", "\uff11\uff12\uff17.0.0.1"):
            assert (await way.post(f"http://{host}:{listener.port}/x", b"{}", {})).taken
        assert listener.connections >= 1


async def test_a_name_that_resolves_to_another_address_a_moment_later_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is looked at is the address of the connection itself, so there is no moment between."""
    asked = []
    real = socket.getaddrinfo

    def rebinding(host: Any, *args: Any, **more: Any) -> Any:
        if host != "rebind.example.com":
            return real(host, *args, **more)
        asked.append(host)
        address = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
        return real(address, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    async with listening() as listener, outbound() as way:
        for _ in range(3):
            with pytest.raises(Unanswered, match="not public"):
                await way.post(f"https://rebind.example.com:{listener.port}/x", b"{}", {})
            await way.close()
            way._session = None  # a fresh one resolves again
        assert len(asked) >= 3
        assert listener.connections == 0


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://product.example.com/x", "must be https"),
        ("ftp://product.example.com/x", "must be a URL such as"),
        ("file:///etc/passwd", "must be a URL such as"),
        ("gopher://product.example.com/x", "must be a URL such as"),
        ("https://user:pass@product.example.com/x", "no user and no password"),
        ("https://product.example.com@127.0.0.1/x", "no user and no password"),
        ("https://product.example.com/x#part", "no fragment"),
        ("https:///x", "must be a URL such as"),
        ("https://product.example.com:99999/x", "can't be read as a URL"),
        ("https://[::1/x", "can't be read as a URL"),
        ("https://product.example.com/\r\nX: y", "must be a URL such as"),
        ("https://product.example.com/" + "x" * 3000, "must be a URL such as"),
        ("product.example.com", "must be a URL such as"),
        ("", "must be a URL such as"),
    ],
)
def test_a_url_that_can_be_no_endpoint_says_why(url: str, why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        checked_url(url, allow_private=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["2002:7f00:1::", "2001:0:4136:e378::1", "fec0::1", "ff0e::1", "224.0.1.1", "x", ""]
)
def test_disguises_and_groups_are_not(address: str) -> None:
    assert not is_public(address)


async def test_redirects_are_not_followed() -> None:
    async with listening() as target, listening() as listener, outbound(allow_private=True) as way:
        listener.says = (
            f"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:{target.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        )
        answer = await way.post(f"http://127.0.0.1:{listener.port}/x", b"{}", {})
        assert (answer, answer.taken) == (Answer(307), False)
        assert target.connections == 0


async def test_an_answer_without_end_is_not_read() -> None:
    async with listening() as listener, outbound(allow_private=True, timeout=timedelta(seconds=5)) as way:
        listener.says, listener.then = b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536
        async with asyncio.timeout(2):
            assert (await way.post(f"http://127.0.0.1:{listener.port}/x", b"{}", {})).taken


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"", "no answer within 0.5 s"),
        (b"garbage\r\n\r\n", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "the connection broke"),
    ],
)
async def test_what_is_no_answer_says_so(says: bytes, why: str) -> None:
    async with listening() as listener, outbound(allow_private=True) as way:
        listener.says = says
        with pytest.raises(Unanswered, match=why):
            await way.post(f"http://127.0.0.1:{listener.port}/x", b"{}", {})


async def test_where_nobody_listens_it_says_so() -> None:
    async with listening() as listener, outbound(allow_private=True) as way:
        port = listener.port
    async with outbound(allow_private=True) as way:
        with pytest.raises(Unanswered, match="no connection"):
            await way.post(f"http://127.0.0.1:{port}/x", b"{}", {})
        with pytest.raises(Unanswered, match="does not resolve"):
            await way.post("http://nobody.invalid/x", b"{}", {})


async def test_a_certificate_that_nobody_vouches_for_is_refused_and_nothing_is_sent() -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with listening(ssl=server) as listener:
        async with outbound(allow_private=True) as way:
            with pytest.raises(Unanswered, match="certificate is not trusted"):
                await way.post(f"https://localhost:{listener.port}/x", b"{}", {})
        assert listener.heard == []
        async with outbound(allow_private=True, tls=trusting) as way:
            assert (await way.post(f"https://localhost:{listener.port}/x", b"{}", {})).taken


async def test_what_is_sent_says_what_it_is_and_keeps_no_cookies() -> None:
    async with listening() as listener, outbound(allow_private=True) as way:
        listener.says = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        for _ in range(2):
            await way.post(f"http://127.0.0.1:{listener.port}/x?y=1", b"{}", {"webhook-id": "1"})
        for head in listener.heard:
            lines = head.decode().lower().split("\r\n")
            assert lines[0] == "post /x?y=1 http/1.1"
            assert {"content-type: application/json", "webhook-id: 1"} <= set(lines)
            assert any(line.startswith("user-agent: evergrant/") for line in lines)
            assert not any(line.startswith("cookie:") for line in lines)
