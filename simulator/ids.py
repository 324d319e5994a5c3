"""Ids and secrets, in the forms Nylas gives them; from a seed they are the same each time."""

import secrets
from base64 import b64encode, urlsafe_b64encode
from hashlib import blake2b


class Ids:
    """The n-th value is a hash of n under a key: of a secret one, unless a seed was given.

    So a seeded simulator is repeatable and no place for secrets; each `stream` counts for itself, so
    that one that depends on chance (a caller that polls) does not disturb another.
    """

    def __init__(self, seed: int | None = None, stream: str = "") -> None:
        key = secrets.token_bytes(32) if seed is None else f"{seed}/{stream}".encode()
        self._keyed = blake2b(key=blake2b(key, digest_size=32).digest(), digest_size=32)
        self._given = 0

    def new_id(self) -> str:
        """Return an id in the form of a UUID of version 4."""
        digits = self._next().hex()
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"

    def token(self) -> str:
        """Return a secret of 256 bits, safe in a URL."""
        return urlsafe_b64encode(self._next()).decode().rstrip("=")

    def short_id(self) -> str:
        """Return an id in the form of events' and webhooks': letters and digits alone."""
        return b64encode(self._next()[:16], altchars=b"xX").decode().rstrip("=")

    def _next(self) -> bytes:
        self._given += 1
        of_this = self._keyed.copy()
        of_this.update(self._given.to_bytes(8, "big"))
        return of_this.digest()
