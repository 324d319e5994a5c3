"""Answers that no HTTP library would send: cut, mislabelled, or with a noise in front, byte for byte."""

import gzip
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeAlias

from simulator.answers import Answer

HUGE = 256 * 1024
PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
Way: TypeAlias = Callable[[Answer, bytes, list[bytes]], bytes]


def garbage_json(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Break the JSON off, under an honest length: whole for HTTP, and no JSON."""
    return _written(answer.status, headers, body[: len(body) * 2 // 3])


def html(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Let a proxy lose the answer, and speak for itself."""
    told = b"Content-Type: text/html"
    return _written(502 if answer.status < 400 else answer.status, [told], PAGE.encode())


def truncated_gzip(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Compress the answer and break that off, under an honest length."""
    packed = gzip.compress(body, mtime=0)
    return _written(answer.status, [*headers, b"Content-Encoding: gzip"], packed[: len(packed) // 2])


def long_length(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Promise more than there is."""
    return _written(answer.status, headers, body, length=len(body) + 100)


def short_length(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Promise less than there is: what is too much is there to be taken for the next answer."""
    return _written(answer.status, headers, body, length=len(body) // 2)


def garbage_chunks(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Send one good chunk, and one whose size is no number."""
    first = body[: len(body) // 2]
    chunks = b"%x\r\n%s\r\nzz\r\n%s\r\n0\r\n\r\n" % (len(first), first, body[len(first) :])
    return _head(answer.status, [*headers, b"Transfer-Encoding: chunked"]) + chunks


def informational(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Send three answers that are none (1xx) before the one that is."""
    hints = _head(100, []) + _head(102, []) + _head(103, [b"Link: </style.css>; rel=preload"])
    return hints + _written(answer.status, headers, body)


def huge_header(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Add a header of 256 KiB."""
    return _written(answer.status, [*headers, b"X-Huge: " + b"h" * HUGE], body)


def odd_header(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Add a header whose bytes are no UTF-8, as HTTP allows."""
    return _written(answer.status, [*headers, b"X-Odd: caf\xe9 \xff\xfe"], body)


def raw(answer: Answer, body: bytes, headers: list[bytes]) -> bytes:
    """Send the body alone: it is all that goes on the wire, from the first byte on."""
    return body


WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        *(garbage_json, html, truncated_gzip, long_length, short_length, garbage_chunks),
        *(informational, huge_header, odd_header, raw),
    )
}
# After these the caller holds an answer, even if it is of no use.
WHOLE = ("garbage_json", "html", "truncated_gzip", "short_length", "informational", "odd_header")


def spoilt(mode: str, answer: Answer, request_id: str) -> bytes:
    """Return all bytes that go on the wire for an answer; the connection is closed after them."""
    named = {"Content-Type": answer.content_type, "x-request-id": request_id, **answer.headers}
    headers = [f"{name}: {value}".encode() for name, value in named.items()]
    return WAYS[mode](answer, answer.encoded(request_id), headers)


def _written(status: int, headers: list[bytes], body: bytes, *, length: int | None = None) -> bytes:
    told = len(body) if length is None else length
    return _head(status, [*headers, b"Content-Length: %d" % told, b"Connection: close"]) + body


def _head(status: int, headers: list[bytes]) -> bytes:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return b"\r\n".join([f"HTTP/1.1 {status} {phrase}".encode(), *headers, b"", b""])
