"""The credentials of custom authentication, as each provider wants them (Nylas: POST /v3/connect/custom)."""

from typing import Literal, TypeAlias

from pydantic import Field, SecretStr

from nylas_api.sent import Sent

Provider = Literal["google", "microsoft", "imap", "icloud", "yahoo", "ews", "zoom", "virtual-calendar", "nylas"]
"""The providers that Nylas documents. Answers may name others."""

PROVIDERS: tuple[Provider, ...] = (
    *("google", "microsoft", "imap", "icloud", "yahoo", "ews", "zoom", "virtual-calendar", "nylas"),
)


class RefreshToken(Sent):
    """A provider's refresh token that the product got by an OAuth of its own: google, microsoft, yahoo, zoom.

    A token of Google must carry the scopes userinfo.email, userinfo.profile and openid. `credential_id`
    names a `connector` credential if the token is not of the connector's own OAuth client.
    """

    refresh_token: SecretStr = Field(min_length=1)
    credential_id: str | None = None


class BulkGrant(Sent):
    """A mailbox of an organisation that let us in as a whole.

    For google by a `serviceaccount` credential, for microsoft by an `adminconsent` one.
    `scopes` narrows what is asked for, Google only.
    """

    email_address: str
    credential_id: str
    scopes: tuple[str, ...] | None = None


class Imap(Sent):
    """A mailbox with its password. Host and port are found by Nylas for the well-known ones."""

    imap_username: str
    imap_password: SecretStr = Field(min_length=1)
    imap_host: str | None = None
    imap_port: int | None = Field(default=None, ge=1, le=65535)
    smtp_host: str | None = None
    smtp_port: int | None = Field(default=None, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    type: str | None = None


class ICloud(Sent):
    """An iCloud account with an app-specific password."""

    username: str
    password: SecretStr = Field(min_length=1)


class Ews(Sent):
    """A mailbox on an Exchange server of one's own."""

    email: str
    ews_username: str
    ews_password: SecretStr = Field(min_length=1)
    ews_host: str | None = None
    ews_port: int | None = Field(default=None, ge=1, le=65535)


class VirtualCalendar(Sent):
    """A calendar that no provider keeps; `email` may be any text that names it."""

    email: str


class AgentAccount(Sent):
    """A mailbox that Nylas itself keeps (provider `nylas`); the app password has 18 to 40 characters."""

    email: str
    app_password: SecretStr | None = Field(default=None, min_length=18, max_length=40)


ProviderSettings: TypeAlias = RefreshToken | BulkGrant | Imap | ICloud | Ews | VirtualCalendar | AgentAccount

SETTINGS_OF: dict[Provider, tuple[type[ProviderSettings], ...]] = {
    "google": (RefreshToken, BulkGrant),
    "microsoft": (RefreshToken, BulkGrant),
    "yahoo": (RefreshToken,),
    "zoom": (RefreshToken,),
    "imap": (Imap,),
    "icloud": (ICloud,),
    "ews": (Ews,),
    "virtual-calendar": (VirtualCalendar,),
    "nylas": (AgentAccount,),
}
"""Which settings a provider takes."""


def check_settings(provider: str, settings: ProviderSettings) -> None:
    """Raise ValueError for settings that Nylas documents for other providers; of a provider unknown to us, any pass."""
    kinds = next((kinds for known, kinds in SETTINGS_OF.items() if known == provider), None)
    if kinds is not None and not isinstance(settings, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{provider} takes {wanted}, not {type(settings).__name__}")
