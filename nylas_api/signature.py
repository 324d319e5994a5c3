"""The signature by which a webhook proves that it comes from Nylas."""

import hashlib
import hmac
from collections.abc import Sequence


def sign(secret: str, body: bytes) -> str:
    """Give the value of `X-Nylas-Signature`: HMAC-SHA256 of the body as lowercase hex.

    The body is what came over the wire. If Nylas compressed it, the compressed bytes are what is
    signed (Nylas: "Using webhooks with Nylas").
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signature_matches(secrets: Sequence[str], body: bytes, header: str | None) -> bool:
    """Tell whether any of our secrets made this header; never raises, whatever the header holds.

    Several secrets, because rotating one has no overlap at Nylas while events signed with the old
    one still arrive for some twenty minutes. No time is signed: an old delivery can be replayed, so
    the event's id has to guard against that. Like Nylas' own CLI it takes upper case and a `sha256=`
    prefix. An empty secret matches nothing.
    """
    if header is None or not header.isascii():
        return False
    given = header.strip().lower().removeprefix("sha256=").encode()
    matches = [hmac.compare_digest(sign(secret, body).encode(), given) for secret in secrets if secret]
    return any(matches)
