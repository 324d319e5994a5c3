"""The events Nylas tells about grants, in their CloudEvents envelope."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from uuid import NAMESPACE_URL, uuid5

from simulator.answers import Json
from simulator.books import Grant
from simulator.triggers import CODES, REAUTHENTICATED

SYSTEM = "/nylas/system"
FAMILIES = {"message": "emails", "thread": "emails", "event": "calendar", "calendar": "calendar"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; sent again it keeps its id, and only the attempt differs."""

    id: str
    kind: str
    time: int
    application_id: str
    object: Json
    source: str = SYSTEM

    @property
    def grant_id(self) -> str | None:
        """The grant it is about."""
        return self.object.get("grant_id")

    def envelope(self, attempt: int) -> Json:
        """Return the whole event; the attempt is inside, so each attempt has its own signature."""
        data: Json = {"application_id": self.application_id, "object": self.object}
        if self.grant_id and not self.kind.startswith("grant."):
            data["grant_id"] = self.grant_id
        return {
            "specversion": "1.0",
            "type": self.kind,
            "source": self.source,
            "id": self.id,
            "time": self.time,
            "webhook_delivery_attempt": attempt,
            "data": data,
        }

    def raw(self, attempt: int) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(self.envelope(attempt), separators=(",", ":")).encode()


def source_of(kind: str, provider: str) -> str:
    """Return where an event of this type comes from."""
    family = kind.partition(".")[0]
    if kind == "grant.imap_sync_completed":
        return "/imap/emails/historic"
    return SYSTEM if family == "grant" else f"/{provider}/{FAMILIES.get(family, family)}/realtime"


@cache
def integration_id(provider: str) -> str:
    """Return the id of the connector, under the name it had in v2."""
    return str(uuid5(NAMESPACE_URL, f"connector:{provider}"))


def about_grant(kind: str, grant: Grant, more: Mapping[str, object]) -> Json:
    """Return what an event of this type says about a grant, and `more`."""
    about: Json = {
        "code": CODES.get(kind, 0),
        "grant_id": grant.id,
        "integration_id": integration_id(grant.provider),
        "provider": grant.provider,
    }
    match kind:
        case "grant.imap_sync_completed":
            about["type"] = kind
        case "grant.created":
            about |= {"email": grant.email, "scope": grant.scope}
            about |= {"name": grant.name} if grant.name else {}
        case "grant.updated":
            about |= {"email": grant.email, "reauthentication_flag": False}
            about["code"] = REAUTHENTICATED if more.get("reauthentication_flag") else about["code"]
        case "grant.expired":
            about |= {"email": grant.email, "grant_updated_at": grant.updated_at}
        case _:
            about["email"] = grant.email
    return about | dict(more)
