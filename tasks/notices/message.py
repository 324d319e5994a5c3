"""What is sent of a notice: the same bytes at each attempt, with the headers of Standard Webhooks."""

import json
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from models import NoticeData
from tasks.context import Context
from tasks.links import address
from tasks.notices.endpoints import link_id


def body(ctx: Context, notice: NoticeData) -> bytes:
    """Write a notice down as JSON: `{"type", "timestamp", "data"}`.

    The link of a reminder is a capability, so the row holds its id only, and the address is made here.
    """
    data = dict(notice.data)
    if link := link_id(notice):
        del data["link_id"]
        data["link"] = address(ctx, link)
    if notice.grant_id:
        data["sequence"] = notice.seq
    return envelope(notice.kind.value, data, notice.occurred_at)


def envelope(kind: str, data: dict[str, Any], occurred_at: datetime) -> bytes:
    """Put data into the envelope that Standard Webhooks recommends."""
    told = {"type": kind, "timestamp": occurred_at.isoformat(), "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def headers(message_id: str, body: bytes, secrets: list[str], *, now: datetime) -> dict[str, str]:
    """Sign a body, by each of the secrets: while one is being replaced the receiver may know either.

    `message_id` is the same at each attempt and for each endpoint, so that whoever gets it twice can tell.
    """
    text = body.decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, now, text) for secret in secrets),
    }
