"""A line of a list: the mailbox that it names, and what it is authenticated anew by."""

import json
from dataclasses import dataclass
from typing import TypeAlias

from models import Way
from nylas_api import Ews, ICloud, Imap, ProviderSettings, RefreshToken
from nylas_api.provider_settings import SETTINGS_OF

OwnSettings: TypeAlias = RefreshToken | Imap | ICloud | Ews
"""What authenticates one mailbox alone."""

TOLD_BY: dict[str, type[OwnSettings]] = {
    "refresh_token": RefreshToken,
    "imap_username": Imap,
    "username": ICloud,
    "ews_username": Ews,
}
"""The field that each kind of settings, and no other, must have."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be understood: it has a `grant_id`, or an `email`; the address stands as it was written."""

    number: int
    grant_id: str | None = None
    email: str | None = None
    provider: str | None = None
    credential_id: str | None = None
    settings: OwnSettings | None = None
    tag: str | None = None

    @property
    def way(self) -> Way | None:
        """How the mailbox is authenticated, if the line says so."""
        if self.settings:
            return way_of(self.settings)
        return Way.CREDENTIAL if self.credential_id else None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that can't be, and why. The reason shows nothing that stood in it."""

    number: int
    reason: str


def way_of(settings: OwnSettings) -> Way:
    """Say which way these settings are for; a mailbox with a password goes the way of IMAP, whatever its server is."""
    return Way.REFRESH if isinstance(settings, RefreshToken) else Way.IMAP


def takes(provider: str, model: type[ProviderSettings]) -> bool:
    """Tell whether a mailbox of this provider can be authenticated so; of a provider unknown to us, any pass."""
    models = next((models for known, models in SETTINGS_OF.items() if known == provider), None)
    return models is None or model in models


def as_text(settings: OwnSettings) -> str:
    """Write settings as JSON, secrets in clear: to be sealed."""
    return json.dumps(settings.body())


def from_text(text: str) -> OwnSettings:
    """Read what `as_text` wrote. Raises ValueError for anything else, without a word of it."""
    try:
        fields = json.loads(text)
        kind = next(kind for name, kind in TOLD_BY.items() if name in fields)
        return kind.model_validate(fields)
    except (ValueError, TypeError, StopIteration):
        raise ValueError("these are no settings of a mailbox") from None
