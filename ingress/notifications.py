"""Reading a Nylas notification: from the signed bytes to the row that keeps it."""

import hashlib
import json
import re
import zlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from models import EventData, Outcome
from models.claims import close
from models.inbox import told
from models.kinds import FROM_NYLAS, UNREADABLE

MOST_INFLATED = 8 * 1024 * 1024
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
ID = re.compile(r"[A-Za-z0-9][!-~]{0,127}", re.ASCII)


class Oversized(ValueError):
    """The body is larger, once inflated, than any that Nylas sends (1 MB)."""


def inflate(body: bytes) -> bytes:
    """Undo gzip (RFC 1952), up to a limit. Raises Oversized, and ValueError for what is no gzip."""
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, MOST_INFLATED)
    except zlib.error as error:
        raise ValueError("the body is not gzip") from error
    if stream.unconsumed_tail:
        raise Oversized("the body inflates to more than 8 MiB")
    if not stream.eof:
        raise ValueError("the gzip stream is cut off")
    return plain


def read_notification(body: bytes, *, application_id: UUID, now: datetime) -> EventData:
    """Make the row for a notification whose signature was good. Never fails: what can't be read is kept for a human.

    Its key is a hash of all that says which event it is, without the number of the delivery attempt: Nylas' three
    attempts differ in it. Kinds that we don't deal with are kept as well, settled as ignored.
    Source: Nylas "Notification schemas" (CloudEvents 1.0 envelope).
    """
    try:
        return _read(body, application_id=application_id, now=now)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        event = told(
            UNREADABLE, _key("unreadable", body), application_id=application_id, source="nylas", now=now, raw=body
        )
        close(event, Outcome.SET_ASIDE, now=now, reason=f"it can't be read as a notification: {type(error).__name__}")
        return event


def _read(body: bytes, *, application_id: UUID, now: datetime) -> EventData:
    envelope = json.loads(body, parse_constant=_no_json)
    kind = envelope.get("type") if isinstance(envelope, dict) else None
    if not isinstance(kind, str) or not NAME.fullmatch(kind):
        raise ValueError("no type")
    data = envelope.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    grant_id = (about.get("grant_id") if isinstance(about, dict) else None) or (
        data.get("grant_id") if isinstance(data, dict) else None
    )
    what = {
        "application": data.get("application_id") if isinstance(data, dict) else None,
        "type": kind,
        "id": envelope.get("id"),
        "time": envelope.get("time"),
        "data": data,
    }
    event = told(
        kind,
        _key("nylas", json.dumps(what, sort_keys=True).encode()),
        application_id=application_id,
        source="nylas",
        now=now,
        raw=body,
        grant_id=grant_id if isinstance(grant_id, str) and ID.fullmatch(grant_id) else None,
        occurred_at=_moment(envelope.get("time")),
    )
    if kind not in FROM_NYLAS:
        close(event, Outcome.IGNORED, now=now, reason="not a kind that Evergrant deals with")
    elif event.grant_id is None:
        close(event, Outcome.SET_ASIDE, now=now, reason="it names no grant")
    return event


def _no_json(constant: str) -> None:
    """Refuse what Python reads and JSON has not (RFC 8259, 6): NaN, and numbers without end."""
    raise ValueError(f"{constant} is no JSON")


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _key(source: str, identity: bytes) -> str:
    return f"{source}:{hashlib.sha256(identity).hexdigest()}"
