"""The redirect URIs API: the callbacks that logins may end at."""

from urllib.parse import urlsplit

from simulator.answers import Answer, Json, RefusedError, bad_request, data, usual
from simulator.application import RedirectUri
from simulator.asked import Asked, one_of
from simulator.state import State

# What each platform must tell, and may.
PLATFORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "web": ((), ()),
    "desktop": ((), ()),
    "js": (("origin",), ()),
    "ios": (("bundle_id",), ("app_store_id", "team_id")),
    "android": (("package_name", "sha1_certificate_fingerprint"), ()),
}
WITH_DEEP_LINKS = ("ios", "android")
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


async def create_redirect_uri(state: State, asked: Asked) -> Answer:
    """Register a callback; it answers 200, not 201."""
    url, platform, settings = checked(asked.body(), state.application.additional)
    if state.application.registered(url):
        raise bad_request(f"{url} is registered already")
    return data(state.application.register(url, platform, settings).view())


async def list_redirect_uris(state: State, asked: Asked) -> Answer:
    """Return all of them; this list has no pages."""
    return data([uri.view() for uri in state.application.redirect_uris.values()])


async def get_redirect_uri(state: State, asked: Asked) -> Answer:
    """Return one."""
    return data(_uri(state, asked).view())


async def patch_redirect_uri(state: State, asked: Asked) -> Answer:
    """Change what is named; without a platform the settings stay as they are."""
    uri, sent = _uri(state, asked), asked.body()
    stays = {"url": uri.url, "platform": uri.platform, "settings": uri.settings}
    if "platform" in sent and sent["platform"] != uri.platform:
        stays["settings"] = {}
    if "platform" not in sent:
        sent = {name: value for name, value in sent.items() if name != "settings"}
    url, platform, settings = checked(stays | sent, state.application.additional)
    if (other := state.application.registered(url)) and other is not uri:
        raise bad_request(f"{url} is registered already")
    uri.url, uri.platform, uri.settings = url, platform, settings
    return data(uri.view())


async def delete_redirect_uri(state: State, asked: Asked) -> Answer:
    """Remove one; with the last of them gone, all callbacks are allowed again."""
    del state.application.redirect_uris[_uri(state, asked).id]
    return Answer({})


def checked(given: Json, additional: Json) -> tuple[str, str, Json]:
    """Return URL, platform and settings, or refuse: HTTP is for this machine alone, deep links are for phones."""
    url, settings = given.get("url"), given.get("settings") or {}
    platform = one_of(given.get("platform", "web"), *PLATFORMS)
    if not isinstance(url, str) or not url:
        raise bad_request("url is required")
    try:
        parts = urlsplit(url)
        at_home = parts.hostname in THIS_MACHINE
    except ValueError:
        raise bad_request("url is no URL") from None
    web = parts.scheme == "https" or (parts.scheme == "http" and at_home)
    deep_link = platform in WITH_DEEP_LINKS and parts.scheme not in ("http", "https", "")
    if not deep_link and not (web and parts.hostname):
        raise bad_request("url must be HTTPS; only localhost may be HTTP, and only ios and android have deep links")
    if parts.query and not additional.get("allow_query_param_in_redirect_uri"):
        raise bad_request("url may have a query only with additional_settings.allow_query_param_in_redirect_uri")
    if not isinstance(settings, dict):
        raise bad_request("settings must be an object")
    needed, possible = PLATFORMS[platform]
    if missing := [name for name in needed if not isinstance(settings.get(name), str) or not settings[name]]:
        raise bad_request(f"{platform} needs {', '.join(f'settings.{name}' for name in missing)}")
    kept = {name: settings[name] for name in (*needed, *possible) if settings.get(name) is not None}
    return url, platform, kept


def _uri(state: State, asked: Asked) -> RedirectUri:
    uri = state.application.redirect_uris.get(asked.ref)
    if uri is None:
        raise RefusedError(usual(404))
    return uri
