"""The webhook endpoint: Nylas' challenge, and its signed notifications."""

from collections.abc import Sequence

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from ingress.front import Front
from ingress.intake import NotStored
from ingress.notifications import Oversized, inflate, read_notification
from nylas_api import signature_matches

log = structlog.get_logger()

PATH = "/webhooks/nylas"
MOST_BYTES = 2 * 1024 * 1024
LONGEST_CHALLENGE = 1024
HEADERS = [(b"content-length", b"0"), (b"content-type", b"text/plain; charset=utf-8")]
TAKEN: Message = {"type": "http.response.start", "status": 200, "headers": HEADERS}
NOTHING_MORE: Message = {"type": "http.response.body", "body": b""}


async def challenge(request: Request) -> Response:
    """Answer Nylas' handshake: exactly the value it sent, as plain text (Nylas: "Verify a webhook endpoint")."""
    value = request.query_params.get("challenge", "")
    if not value or len(value) > LONGEST_CHALLENGE or not value.isascii() or not value.isprintable():
        return PlainTextResponse("This is where Nylas sends its notifications.\n", status_code=400)
    return PlainTextResponse(value, headers={"X-Content-Type-Options": "nosniff"})


async def notification(front: Front, scope: Scope, receive: Receive, send: Send) -> None:
    """Verify the raw bytes, store the row, and answer 200 after its commit.

    401: the signature is bad. 413: too large. 503: it could not be stored; Nylas tries 503 again, but never 500. The
    signature covers the bytes as they came, also when they are gzip. Neither Redis nor Nylas is asked anything here.
    """
    refusal = await _take(front, scope["headers"], receive)
    if refusal is None:
        await send(TAKEN)
        await send(NOTHING_MORE)
    else:
        await refusal(scope, receive, send)


async def _take(front: Front, headers: Sequence[tuple[bytes, bytes]], receive: Receive) -> Response | None:
    if not front.webhook_secrets:
        return _later("EVERGRANT_NYLAS_WEBHOOK_SECRET is not set, so no signature can be verified")
    body = await _body(receive)
    if body is None:
        return PlainTextResponse("larger than Nylas sends\n", status_code=413)
    signatures = [value for name, value in headers if name == b"x-nylas-signature"]
    if len(signatures) != 1 or not signature_matches(front.webhook_secrets, body, signatures[0].decode("latin-1")):
        log.warning("webhook.bad_signature", bytes=len(body))
        return PlainTextResponse("the signature does not match\n", status_code=401)
    encoding = next((value for name, value in headers if name == b"content-encoding"), b"")
    if encoding.strip().lower() == b"gzip":
        try:
            body = inflate(body)
        except Oversized:
            return PlainTextResponse("larger than Nylas sends\n", status_code=413)
        except ValueError:
            pass  # signed, and no gzip: kept as it is, and set aside
    event = read_notification(body, application_id=front.application_id, now=front.now())
    try:
        await front.intake.store(event, soon=True)
    except NotStored as error:
        return _later(str(error))
    return None


async def _body(receive: Receive) -> bytes | None:
    """Read it all; None, if it is too large, or if whoever sent it has gone."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False) and len(body) <= MOST_BYTES:
        message = await receive()
        body += message.get("body", b"")
    return None if message["type"] == "http.disconnect" or len(body) > MOST_BYTES else body


def _later(why: str) -> Response:
    log.error("webhook.not_stored", why=why)
    return PlainTextResponse("not stored, send it again\n", status_code=503, headers={"Retry-After": "5"})
