"""Redirect URIs: where Nylas may send a user back to after a sign-in (also called callback URIs)."""

from typing import Literal

from pydantic import Field, model_validator

from nylas_api.conversation import Conversation
from nylas_api.lenient import Answer, Fields, MaybeMoment, MaybeText, Said, Text, read_many, read_nothing, read_one
from nylas_api.paging import items
from nylas_api.request import Request, step
from nylas_api.sent import Sent

PATH = "/v3/applications/redirect-uris"

Platform = Literal["web", "desktop", "js", "ios", "android"]

NEEDED: dict[Platform, tuple[str, ...]] = {
    "js": ("origin",),
    "ios": ("bundle_id",),
    "android": ("package_name", "sha1_certificate_fingerprint"),
}


class RedirectUri(Said):
    """A redirect URI as Nylas describes it; only `id` and `url` are insisted on."""

    id: Text
    url: Text
    platform: MaybeText = None
    settings: Fields = Field(default_factory=dict)
    deleted_at: MaybeMoment = None


class PlatformSettings(Sent):
    """What a platform wants to be told: js `origin`, ios `bundle_id`, android package name and fingerprint."""

    origin: str | None = None
    bundle_id: str | None = None
    app_store_id: str | None = None
    team_id: str | None = None
    package_name: str | None = None
    sha1_certificate_fingerprint: str | None = None


class NewRedirectUri(Sent):
    """A redirect URI to register: https, or http on localhost; ValueError if its platform wants more settings."""

    url: str
    platform: Platform = "web"
    settings: PlatformSettings | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "NewRedirectUri":
        missing = [name for name in NEEDED.get(self.platform, ()) if not getattr(self.settings, name, None)]
        if missing:
            raise ValueError(f"the platform {self.platform} needs the settings {', '.join(missing)}")
        return self


class RedirectUris:
    """Nylas' `/v3/applications/redirect-uris`. Every call may raise any NylasError; NotFound for an unknown id."""

    def __init__(self, conversation: Conversation) -> None:
        """Talk through this conversation."""
        self._conversation = conversation

    async def list(self) -> Answer[tuple[RedirectUri, ...]]:
        """Look at all of them (GET /v3/applications/redirect-uris); the list has no pages."""
        return items(await self._conversation.ask(Request("GET", PATH, "applications", read_many(RedirectUri))))

    async def get(self, redirect_uri_id: str) -> Answer[RedirectUri]:
        """Look at one (GET /v3/applications/redirect-uris/{id})."""
        return await self._conversation.ask(Request("GET", _at(redirect_uri_id), "applications", read_one(RedirectUri)))

    async def create(self, uri: NewRedirectUri) -> Answer[RedirectUri]:
        """Register one (POST /v3/applications/redirect-uris). Not repeated after a lost answer: look first."""
        request = Request("POST", PATH, "applications", read_one(RedirectUri), json=uri.body(), repeatable=False)
        return await self._conversation.ask(request)

    async def update(self, redirect_uri_id: str, uri: NewRedirectUri) -> Answer[RedirectUri]:
        """Replace one, under its id (PATCH /v3/applications/redirect-uris/{id})."""
        request = Request("PATCH", _at(redirect_uri_id), "applications", read_one(RedirectUri), json=uri.body())
        return await self._conversation.ask(request)

    async def delete(self, redirect_uri_id: str) -> Answer[None]:
        """Remove one (DELETE /v3/applications/redirect-uris/{id}): sign-ins that name it fail from now on."""
        return await self._conversation.ask(Request("DELETE", _at(redirect_uri_id), "applications", read_nothing))


def _at(redirect_uri_id: str) -> str:
    return f"{PATH}/{step('redirect URI id', redirect_uri_id)}"
