"""What a line of a list says: its fields checked, one by one and together."""

import re
from collections.abc import Mapping
from hashlib import blake2b

from ingress.lists.ways import HOW, PASSWORDS, Refused, in_ascii, kind_in, settings_in
from nylas_api import PROVIDERS, BulkGrant
from tasks.campaigns.lines import BadLine, Line, takes

WHO = {"grant_id": 128, "email": 320, "provider": 32}
"""The fields that name a mailbox, and how long each may be."""
MAILBOXES = WHO | HOW
TAGS = WHO | {"tag": 64}

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(rf"[^\s@<>()\[\]\\,;:\"]{{1,64}}@(?:{_LABEL}\.)+{_LABEL}")
_TAG = re.compile(r"[\w.:/-]+")


class Lines:
    """Makes lines of the values of one list, and knows which mailboxes it has named already (a digest of each)."""

    def __init__(self, columns: Mapping[str, int]) -> None:
        """`columns` are the fields that a line may have, and how long each may be."""
        self._columns = columns
        self._seen: dict[bytes, int] = {}

    def read(self, number: int, values: Mapping[str, str]) -> Line | BadLine:
        """Check the values of a line; empty ones count as not given."""
        try:
            line = self._made(number, values)
            self._see(line)
        except Refused as refused:
            return BadLine(number, str(refused))
        return line

    def _made(self, number: int, values: Mapping[str, str]) -> Line:
        fields = {name: text for name, value in values.items() if (text := self._text(name, value))}
        grant_id, email, provider = _who(fields)
        credential_id, kind = in_ascii(fields, "credential_id"), kind_in(fields)
        if kind and credential_id:
            raise Refused(
                f"it says two ways at once: credential_id and {kind.name}. (The credential of the OAuth client that a "
                "refresh token is of goes into connector_credential_id)"
            )
        if kind and provider and not takes(provider, kind.model):
            raise Refused(f"a mailbox of {provider} is not authenticated by {kind.name}")
        if credential_id and provider and not takes(provider, BulkGrant):
            raise Refused(f"{provider} has no credential that lets in a whole organisation: google and microsoft have")
        return Line(
            number,
            grant_id,
            email,
            provider or (kind.provider if kind else None),
            credential_id,
            settings_in(fields, kind) if kind else None,
            _tag(fields),
        )

    def _text(self, name: str, value: str) -> str:
        if CONTROL.search(value):
            raise Refused(f"{name} holds a control character, or something else that is no text")
        text = value if name in PASSWORDS else value.strip()
        if len(text) > self._columns[name]:
            raise Refused(f"{name} is longer than {self._columns[name]} characters")
        return text

    def _see(self, line: Line) -> None:
        """A grant is named by its id; else a mailbox is one by its address and, if it stands there, its provider."""
        what, name = (
            ("grant", line.grant_id) if line.grant_id else ("mailbox", f"{line.email}\0{line.provider}".lower())
        )
        told = f"{what}\0{name}\0{line.tag}"
        first = self._seen.setdefault(blake2b(told.encode(), digest_size=16).digest(), line.number)
        if first != line.number:
            raise Refused(f"it names the same {what} as line {first}")


def _who(fields: Mapping[str, str]) -> tuple[str | None, str | None, str | None]:
    grant_id, email = in_ascii(fields, "grant_id"), fields.get("email")
    if not grant_id and not email:
        raise Refused("it names neither a grant (grant_id) nor a mailbox (email)")
    if email and not (email.isprintable() and _EMAIL.fullmatch(email)):
        raise Refused("email is not an address such as ada@example.com")
    provider = fields.get("provider", "").lower() or None
    if provider and provider not in PROVIDERS:
        raise Refused(f"provider is unknown: it must be one of {', '.join(PROVIDERS)}")
    return grant_id, email, provider


def _tag(fields: Mapping[str, str]) -> str | None:
    tag = fields.get("tag")
    if tag and not _TAG.fullmatch(tag):
        raise Refused("tag must be letters, digits, and the signs . : / - _")
    return tag
