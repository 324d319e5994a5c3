"""The one application of this Nylas: how it presents itself, and the callbacks it has registered."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simulator.answers import Json
from simulator.ids import Ids

PUBLIC = ("js", "ios", "android", "desktop")
"""The platforms whose code is in everybody's hands: they have no client secret to show."""


@dataclass(slots=True, eq=False)
class RedirectUri:
    """A registered callback; Nylas says redirect URI and callback URI by turns."""

    id: str
    url: str
    platform: str = "web"
    settings: Json = field(default_factory=dict)

    def view(self) -> Json:
        """Return what the API shows."""
        shown: Json = {"id": self.id, "url": self.url, "platform": self.platform}
        return shown | ({"settings": self.settings} if self.settings else {})


class RefreshRules(NamedTuple):
    """How long refresh tokens live, in seconds; None is for ever."""

    absolute: int | None
    idle: int | None
    rotate: bool


class Application:
    """The application; `additional` is what can be set and is never shown."""

    def __init__(self, application_id: str, ids: Ids, now: int) -> None:
        self._ids = ids
        self.redirect_uris: dict[str, RedirectUri] = {}
        self.additional: Json = {}
        self.shown: dict[str, Any] = {
            "application_id": application_id,
            "organization_id": ids.new_id(),
            "region": "us",
            "environment": "production",
            "branding": {"name": "Simulated application", "icon_url": "", "website_url": "", "description": ""},
            "hosted_authentication": {
                "background_image_url": "",
                "alignment": "left",
                "color_primary": "#2456d6",
                "color_secondary": "#1b2333",
                "title": "Connect your account",
                "subtitle": "",
                "background_color": "#eef1f6",
                "spacing": 0,
            },
            "created_at": now,
            "updated_at": now,
            "blocked": False,
        }

    def view(self) -> Json:
        """Return what the API shows."""
        return self.shown | {"callback_uris": [uri.view() for uri in self.redirect_uris.values()]}

    def register(self, url: str, platform: str = "web", settings: Json | None = None) -> RedirectUri:
        """Add a callback."""
        uri = RedirectUri(self._ids.new_id(), url, platform, settings or {})
        self.redirect_uris[uri.id] = uri
        return uri

    def register_only(self, urls: Iterable[str]) -> None:
        """Forget all callbacks but these."""
        self.redirect_uris = {}
        for url in urls:
            self.register(url)

    def registered(self, url: str) -> RedirectUri | None:
        """Return the callback with exactly this address."""
        return next((uri for uri in self.redirect_uris.values() if uri.url == url), None)

    def allows(self, url: str) -> bool:
        """Tell whether a callback is registered, byte for byte; with none registered, all are."""
        return not self.redirect_uris or self.registered(url) is not None

    def is_public(self, url: str) -> bool:
        """Tell whether who comes back there may prove itself by PKCE alone."""
        uri = self.registered(url)
        return uri.platform in PUBLIC if uri else not self.redirect_uris

    @property
    def refresh_rules(self) -> RefreshRules:
        """How long refresh tokens live."""
        said = self.additional.get
        absolute, idle = said("refresh_token_expiration_absolute"), said("refresh_token_expiration_idle")
        return RefreshRules(absolute or None, idle or None, bool(said("rotate_refresh_token")))
