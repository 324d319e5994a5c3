"""How a line says that its mailbox is authenticated: by settings of its own, of one kind."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nylas_api import Ews, ICloud, Imap, RefreshToken
from tasks.campaigns.lines import OwnSettings

HOW = {
    "credential_id": 128,
    "refresh_token": 8192,
    "connector_credential_id": 128,
    "imap_username": 320,
    "imap_password": 1024,
    "imap_host": 255,
    "imap_port": 5,
    "smtp_username": 320,
    "smtp_password": 1024,
    "smtp_host": 255,
    "smtp_port": 5,
    "username": 320,
    "password": 1024,
    "ews_username": 320,
    "ews_password": 1024,
    "ews_host": 255,
    "ews_port": 5,
}
"""The fields that say how a mailbox is authenticated, and how long each may be."""
PORTS = {"imap_port", "smtp_port", "ews_port"}
IN_ASCII = {"refresh_token", "connector_credential_id", "imap_host", "smtp_host", "ews_host"}
PASSWORDS = {"imap_password", "smtp_password", "password", "ews_password"}

_ASCII = re.compile(r"[!-~]+")


class Refused(Exception):
    """What is wrong with a line; it shows nothing of the line's values."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of settings: what it is called, what it must and may have, and its provider if only one takes it."""

    model: type[OwnSettings]
    name: str
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    provider: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """All its fields."""
        return *self.needed, *self.optional


KINDS = (
    Kind(RefreshToken, "a refresh token", ("refresh_token",), ("connector_credential_id",)),
    Kind(
        Imap,
        "an IMAP account",
        ("imap_username", "imap_password"),
        ("imap_host", "imap_port", "smtp_host", "smtp_port", "smtp_username", "smtp_password"),
        "imap",
    ),
    Kind(ICloud, "an iCloud account", ("username", "password"), provider="icloud"),
    Kind(Ews, "an Exchange account", ("email", "ews_username", "ews_password"), ("ews_host", "ews_port"), "ews"),
)


def kind_in(fields: Mapping[str, str]) -> Kind | None:
    """Tell which kind of settings a line has, if it has any. Raises Refused for two of them, or for a part of one."""
    given = [kind for kind in KINDS if any(name in fields for name in kind.fields if name != "email")]
    if not given:
        return None
    if len(given) > 1:
        raise Refused(f"it says two ways at once: {' and '.join(kind.name for kind in given)}")
    [kind] = given
    if missing := [name for name in kind.needed if name not in fields]:
        raise Refused(f"{kind.name} must have {' and '.join(missing)} as well")
    return kind


def settings_in(fields: Mapping[str, str], kind: Kind) -> OwnSettings:
    """Make the settings of that kind. Raises Refused."""
    for name in IN_ASCII & fields.keys():
        in_ascii(fields, name)
    values = {
        name: _port(name, fields[name]) if name in PORTS else fields[name] for name in fields.keys() & {*kind.fields}
    }
    if "connector_credential_id" in values:
        values["credential_id"] = values.pop("connector_credential_id")
    return kind.model.model_validate(values)


def in_ascii(fields: Mapping[str, str], name: str) -> str | None:
    """Read what is written in ASCII without spaces: an id, a token, a host. Raises Refused for anything else."""
    value = fields.get(name)
    if value and not _ASCII.fullmatch(value):
        raise Refused(f"{name} holds something else than ASCII letters, digits and signs")
    return value


def _port(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise Refused(f"{name} must be a number from 1 to 65535")
    return int(text)
