"""Signed notifications as whole HTTP requests, made before the load begins; each is an event of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

from nylas_api import sign

PATH = "/webhooks/nylas"
MOMENT = 1_767_225_600
LENGTH = 4  # bytes of a request's length, which goes before it in the file


def notification(number: int, kind: str = "grant.expired", grant_id: str = "") -> bytes:
    """Return a notification of the shape that Nylas documents; `number` makes it an event of its own."""
    body = {
        "specversion": "1.0",
        "type": kind,
        "source": "/nylas/system",
        "id": f"bench-{kind}-{number:08}",
        "time": MOMENT + number,
        "webhook_delivery_attempt": 1,
        "data": {
            "application_id": "bench-application",
            "object": {
                "code": 25009 if kind == "grant.expired" else 25012,
                "grant_id": grant_id or f"3f6a1c88-5b0e-4d29-9b77-{number:012x}",
                "integration_id": "f09c3a6e-7d51-4b28-a4f9-8e6b2d10c573",
                "provider": "google",
                "email": f"user{number:06}@example.com",
                "grant_updated_at": MOMENT,
            },
        },
    }
    return json.dumps(body).encode()


def request(body: bytes, secret: str) -> bytes:
    """Return the POST that brings a signed body over a connection that is kept."""
    head = (
        f"POST {PATH} HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "User-Agent: bench\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"X-Nylas-Signature: {sign(secret, body)}\r\n\r\n"
    )
    return head.encode() + body


def write(file: Path, numbers: range, secret: str) -> None:
    """Write the requests of these numbers to a file."""
    with file.open("wb") as out:
        for number in numbers:
            made = request(notification(number), secret)
            out.write(len(made).to_bytes(LENGTH, "big") + made)


def read(file: Path) -> Iterator[bytes]:
    """Read the requests back."""
    kept, at = file.read_bytes(), 0
    while at < len(kept):
        start = at + LENGTH
        at = start + int.from_bytes(kept[at:start], "big")
        yield kept[start:at]
