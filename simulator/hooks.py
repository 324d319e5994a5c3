"""A webhook destination: what it wants to hear, and how its mail is packed and signed."""

import gzip
import hashlib
import hmac
from dataclasses import dataclass, field

from simulator.answers import Json
from simulator.health import Health


@dataclass(slots=True)
class Hook:
    """A destination; it has a secret of its own."""

    id: str
    url: str
    secret: str
    trigger_types: list[str]
    created_at: int
    compressed: bool = False
    description: str = ""
    notify: list[str] = field(default_factory=list)
    status: str = "active"
    health: Health = field(default_factory=Health)
    updated_at: int = field(init=False)
    status_updated_at: int = field(init=False)

    def __post_init__(self) -> None:
        self.updated_at = self.status_updated_at = self.created_at

    @property
    def listens(self) -> bool:
        """Tell whether anything is sent here at all; what is missed meanwhile is never sent later."""
        return self.status in ("active", "failing")

    def wants(self, kind: str) -> bool:
        """Tell whether this type goes here now."""
        return self.listens and kind in self.trigger_types

    def become(self, status: str, now: int) -> None:
        """Change the status; one that is made active starts with a clean record."""
        if status == self.status:
            return
        self.status, self.status_updated_at = status, now
        if status == "active":
            self.health = Health()

    def packed(self, raw: bytes) -> tuple[bytes, dict[str, str]]:
        """Return the bytes to send and their headers, by the secret of this moment."""
        return packed(raw, self.secret, compressed=self.compressed)

    def view(self) -> Json:
        """Return what the API shows: the secret is not in it."""
        return {
            "id": self.id,
            "description": self.description,
            "trigger_types": self.trigger_types,
            "webhook_url": self.url,
            "status": self.status,
            "notification_email_addresses": self.notify,
            "compressed_delivery": self.compressed,
            "status_updated_at": self.status_updated_at,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def packed(raw: bytes, secret: str, *, compressed: bool = False) -> tuple[bytes, dict[str, str]]:
    """Return bytes and headers; the signature is over the bytes as sent, gzip and all."""
    headers = {"Content-Type": "application/json"}
    if compressed:
        raw = gzip.compress(raw, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["x-nylas-signature"] = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return raw, headers
