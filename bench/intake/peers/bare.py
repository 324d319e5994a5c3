"""The limit of one process of uvicorn: it checks the signature, answers 200, and keeps nothing."""

import hashlib
import hmac
import os
from typing import Any

SECRET = os.environ["BENCH_SECRET"].encode()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request (there is nothing to start or to end)."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    given = next((value for name, value in scope["headers"] if name == b"x-nylas-signature"), b"")
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest().encode()
    status = 200 if hmac.compare_digest(signature, given) else 401
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
