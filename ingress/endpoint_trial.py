"""The command that sends a test notice to endpoints, and says what they answer."""

from collections.abc import Sequence
from typing import Any

import typer

from ingress.endpoints import find_endpoint
from ingress.terminal import fail, put_json, put_table
from models import EndpointData, NoticeKind
from models.columns import new_id
from models.sealing import Unsealable
from tasks.notices.endpoints import MAIL, active, named
from tasks.notices.message import envelope, headers
from tasks.notices.outbound import Unanswered
from tasks.notices.secrets import read_secrets
from worker.runtime import Runtime


async def try_endpoints(runtime: Runtime, name: str | None, *, as_json: bool) -> None:
    """Send a test notice to one endpoint, or to all; exits with 1 if one of them did not take it."""
    if name:
        endpoints: Sequence[EndpointData] = [await find_endpoint(runtime, name)]
    else:
        async with runtime.context.database.reading() as session:
            endpoints = await active(session, runtime.application.id)
    endpoints = [endpoint for endpoint in endpoints if not endpoint.url.startswith(MAIL)]
    if not endpoints:
        fail("There is no endpoint to try. (EVERGRANT_NOTICE_URL, or evergrant endpoints add URL)")
    told = [await _try(runtime, endpoint) for endpoint in endpoints]
    if as_json:
        put_json(told)
    else:
        put_table(None, ("url", "taken", "detail"), [(row["url"], row["taken"], row["detail"]) for row in told])
    if not all(row["taken"] for row in told):
        raise typer.Exit(1)


async def _try(runtime: Runtime, endpoint: EndpointData) -> dict[str, Any]:
    ctx = runtime.context
    message_id = str(new_id())
    content = envelope(NoticeKind.TEST.value, {"endpoint_id": str(endpoint.id)}, ctx.now())
    taken, status = False, None
    try:
        secrets = read_secrets(ctx.keys.reveal(endpoint, "secret"))
        answer = await ctx.outbound.post(endpoint.url, content, headers(message_id, content, secrets, now=ctx.now()))
        taken, status, detail = answer.taken, answer.status, f"it answered {answer.status}"
        if status in (401, 403):
            detail += ": does it verify by the secret of this endpoint?"
    except (Unanswered, Unsealable) as error:
        detail = str(error)
    return {
        "endpoint_id": str(endpoint.id),
        "url": named(endpoint),
        "taken": taken,
        "http_status": status,
        "detail": detail,
        "webhook_id": message_id,
    }
