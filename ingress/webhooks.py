"""The webhook endpoint: Nylas' challenge, and its signed notifications."""

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from ingress.front import Front
from ingress.intake import NotStored
from ingress.notifications import Oversized, inflate, read_notification
from nylas_api import signature_matches

log = structlog.get_logger()

MOST_BYTES = 2 * 1024 * 1024
LONGEST_CHALLENGE = 1024


async def challenge(request: Request) -> Response:
    """Answer Nylas' handshake: exactly the value it sent, as plain text (Nylas: "Verify a webhook endpoint")."""
    value = request.query_params.get("challenge", "")
    if not value or len(value) > LONGEST_CHALLENGE or not value.isascii() or not value.isprintable():
        return PlainTextResponse("This is where Nylas sends its notifications.\n", status_code=400)
    return PlainTextResponse(value, headers={"X-Content-Type-Options": "nosniff"})


async def notification(request: Request) -> Response:
    """Verify the raw bytes, store the row, and answer 200 after its commit.

    401: the signature is bad. 413: too large. 503: it could not be stored; Nylas tries 503 again, but never 500. The
    signature covers the bytes as they came, also when they are gzip. Neither Redis nor Nylas is asked anything here.
    """
    front: Front = request.app.state.front
    if not front.webhook_secrets:
        return _later("EVERGRANT_NYLAS_WEBHOOK_SECRET is not set, so no signature can be verified")
    body = await _body(request)
    if body is None:
        return PlainTextResponse("larger than Nylas sends\n", status_code=413)
    headers = request.headers.getlist("x-nylas-signature")
    if len(headers) != 1 or not signature_matches(front.webhook_secrets, body, headers[0]):
        log.warning("webhook.bad_signature", bytes=len(body))
        return PlainTextResponse("the signature does not match\n", status_code=401)
    if request.headers.get("content-encoding", "").strip().lower() == "gzip":
        try:
            body = inflate(body)
        except Oversized:
            return PlainTextResponse("larger than Nylas sends\n", status_code=413)
        except ValueError:
            pass  # signed, and no gzip: kept as it is, and set aside
    event = read_notification(body, application_id=front.application_id, now=front.now())
    try:
        await front.intake.store(event)
    except NotStored as error:
        return _later(str(error))
    return PlainTextResponse("")


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)


def _later(why: str) -> Response:
    log.error("webhook.not_stored", why=why)
    return PlainTextResponse("not stored, send it again\n", status_code=503, headers={"Retry-After": "5"})
