"""The application itself: its name, its sign-in page, its callbacks."""

from typing import Annotated, Literal

from pydantic import Field

from nylas_api.conversation import Conversation
from nylas_api.lenient import (
    Answer,
    Fields,
    MaybeMoment,
    MaybeText,
    Said,
    read_one,
    readable,
)
from nylas_api.redirect_uris import RedirectUri
from nylas_api.request import Request
from nylas_api.sent import Sent

PATH = "/v3/applications"


class NylasApplication(Said):
    """The application that the API key is of, as Nylas describes it; nothing is insisted on."""

    application_id: MaybeText = None
    organization_id: MaybeText = None
    region: MaybeText = None
    environment: MaybeText = None
    default_workspace_id: MaybeText = None
    v2_application_id: MaybeText = None
    domain: MaybeText = None
    branding: Fields = Field(default_factory=dict)
    hosted_authentication: Fields = Field(default_factory=dict)
    idp_settings: Fields = Field(default_factory=dict)
    callback_uris: Annotated[tuple[RedirectUri, ...], readable(RedirectUri)] = ()
    created_at: MaybeMoment = None
    updated_at: MaybeMoment = None


class Branding(Sent):
    """What users see of the application."""

    name: str | None = None
    icon_url: str | None = None
    website_url: str | None = None
    description: str | None = None


class HostedAuthentication(Sent):
    """The looks of Nylas' sign-in page."""

    background_image_url: str | None = None
    alignment: Literal["left", "center", "right"] | None = None
    color_primary: str | None = None
    color_secondary: str | None = None
    title: str | None = None
    subtitle: str | None = None
    background_color: str | None = None
    spacing: int | None = None


class AdditionalSettings(Sent):
    """Settings that Nylas takes and never shows; lifetimes in seconds. It says that they will go away."""

    refresh_token_expiration_absolute: int | None = None
    refresh_token_expiration_idle: int | None = None
    rotate_refresh_token: bool | None = None
    allow_query_param_in_redirect_uri: bool | None = None
    login_url: str | None = None
    logout_url: str | None = None


class ApplicationChange(Sent):
    """What to change of the application; a part that is given replaces the stored one whole."""

    branding: Branding | None = None
    hosted_authentication: HostedAuthentication | None = None
    additional_settings: AdditionalSettings | None = None


class Applications:
    """Nylas' `/v3/applications`. Every call may raise any NylasError."""

    def __init__(self, conversation: Conversation) -> None:
        """Talk through this conversation."""
        self._conversation = conversation

    async def get(self) -> Answer[NylasApplication]:
        """Look at the application that the key is of (GET /v3/applications)."""
        return await self._conversation.ask(Request("GET", PATH, "applications", _read))

    async def update(self, change: ApplicationChange) -> Answer[NylasApplication]:
        """Change it (PATCH /v3/applications)."""
        return await self._conversation.ask(Request("PATCH", PATH, "applications", _read, json=change.body()))


def _read(body: object) -> NylasApplication:
    """Read the application: an object, or, as Nylas' own CLI has met it, an array of one."""
    match body:
        case {"data": [one, *_]}:
            return read_one(NylasApplication)({"data": one})
        case _:
            return read_one(NylasApplication)(body)
