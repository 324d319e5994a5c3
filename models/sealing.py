"""Secrets at rest: sealed with AES-256-GCM, and bound to the table, row and column that they stand in."""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

FORMAT = "eg1"
NONCE_BYTES = 12


class Row(Protocol):
    """A row that can hold sealed columns: it must know its table, and its id before it is stored."""

    __tablename__: ClassVar[Any]
    id: UUID


class Unsealable(Exception):
    """A sealed value can't be opened: the key is missing, or the value was changed or moved."""


class Sealed(TypeDecorator[str]):
    """A text column that takes nothing but what a `Keyring` has sealed, so that no secret slips in as it is."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse a plain value."""
        if value is not None and not value.startswith(f"{FORMAT}."):
            raise ValueError("a secret column takes only sealed text: use Keyring.seal()")
        return value


class Keyring:
    """The keys that open and seal secrets; the newest seals, all of them open.

    A sealed text is `eg1.<key id>.<base64url of nonce and ciphertext>`. The associated data of AES-GCM (NIST
    SP 800-38D) is `table:row:column`, so that a ciphertext copied into another row, or column, does not open.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take 32-byte keys, newest first. Raises ValueError for none, or for a key of another size."""
        if not keys:
            raise ValueError("a keyring needs at least one key")
        if any(len(key) != 32 for key in keys):
            raise ValueError("each key must be 32 bytes (AES-256)")
        self._keys = tuple(keys)
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])

    def made_for(self, purpose: str) -> list[bytes]:
        """Make keys for another purpose from ours, newest first (HKDF-SHA256, RFC 5869)."""
        return [HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(key) for key in self._keys]

    def seal(self, row: Row, column: str, secret: str) -> None:
        """Write `secret` into `row.column`, sealed with the newest key."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, secret.encode(), _place(row, column))
        setattr(row, column, f"{FORMAT}.{self._newest}.{base64.urlsafe_b64encode(nonce + sealed).decode()}")

    def reveal(self, row: Row, column: str) -> str:
        """Read the secret in `row.column`. Raises Unsealable."""
        sealed = getattr(row, column)
        place = _place(row, column)
        try:
            written, key_id, body = sealed.split(".")
            if written != FORMAT:
                raise ValueError(written)
            raw = base64.urlsafe_b64decode(body)
            cipher = self._ciphers[key_id]
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place).decode()
        except KeyError:
            raise Unsealable(f"{place.decode()} was sealed with a key that is not in EVERGRANT_SECRET_KEYS") from None
        except (ValueError, AttributeError, binascii.Error, InvalidTag):
            raise Unsealable(f"{place.decode()} does not open: it was changed, or moved from elsewhere") from None


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"evergrant key id" + key).hexdigest()[:8]


def _place(row: Row, column: str) -> bytes:
    return f"{row.__tablename__}:{row.id}:{column}".encode()
