"""The commands about redirect URIs: where Nylas may send a user back to."""

from urllib.parse import urlsplit

from ingress.at_nylas.asking import made
from ingress.at_nylas.printing import Flat, put_list, put_one, shown
from ingress.terminal import agree, fail, say
from nylas_api import NewRedirectUri, PlatformSettings, RedirectUri
from worker.runtime import Runtime

COLUMNS = ("id", "url", "platform", "is_ours", "origin", "bundle_id", "package_name")
LOCAL = ("localhost", "127.0.0.1", "::1")
OF_PHONES = ("ios", "android")


async def list_redirect_uris(runtime: Runtime, *, as_json: bool) -> None:
    """Print all that are registered, and which of them is ours."""
    put_list([_flat(runtime, uri) for uri in await _registered(runtime)], COLUMNS, as_json=as_json)


async def add_redirect_uri(
    runtime: Runtime, url: str | None, *, platform: str, settings: dict[str, str], as_json: bool
) -> None:
    """Register a URL, ours unless another is given; one that is registered already is left as it is."""
    url = url or runtime.settings.callback_url
    _check(url, platform)
    wanted = made(
        NewRedirectUri,
        url=url,
        platform=platform,
        settings=made(PlatformSettings, **settings) if settings else None,
    )
    there = [uri for uri in await _registered(runtime) if uri.url == url and (uri.platform or "web") == platform]
    if there:
        put_one(_flat(runtime, there[0]), as_json=as_json)
        say("It is registered already, byte for byte.")
        return
    added = (await runtime.context.nylas.redirect_uris.create(wanted)).data
    put_one(_flat(runtime, added), as_json=as_json)
    say("It is registered.")


async def remove_redirect_uri(runtime: Runtime, name: str, *, yes: bool, as_json: bool) -> None:
    """Remove one, by its id or its URL: sign-ins that name it fail from then on."""
    found = [uri for uri in await _registered(runtime) if name in (uri.id, uri.url)]
    if not found:
        fail(f"No redirect URI has the id or the URL {name!r}. See which there are: evergrant redirect-uris list")
    if len(found) > 1:
        fail(f"{name} is registered more than once; name one by its id: {', '.join(uri.id for uri in found)}")
    [uri] = found
    if uri.url == runtime.settings.callback_url:
        say("It is our own: nobody could sign in through Evergrant any more.")
    agree(f"Remove {uri.url} ({uri.platform or 'web'})? Sign-ins that name it fail from then on.", yes=yes)
    await runtime.context.nylas.redirect_uris.delete(uri.id)
    if as_json:
        put_one({"id": uri.id, "url": uri.url, "deleted": True}, as_json=True)
    say("It is removed.")


def _check(url: str, platform: str) -> None:
    """Exit with 2 for a URL that Nylas does not take: https, or http on this machine; a phone's app may have its own.

    Source: Nylas "Add a callback URI".
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        fail(f"{url!r} is no URL", code=2)
    if parts.fragment or any(char.isspace() for char in url):
        fail(f"{url!r} is no URL to send a browser back to: it has a fragment, or a blank in it", code=2)
    well = bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL))
    if not well and not (platform in OF_PHONES and parts.scheme):
        fail(f"{url!r}: Nylas takes https URLs, and http only for localhost", code=2)


async def _registered(runtime: Runtime) -> list[RedirectUri]:
    """Those that count: Nylas may go on listing one for a while that was deleted."""
    return [uri for uri in (await runtime.context.nylas.redirect_uris.list()).data if uri.deleted_at is None]


def _flat(runtime: Runtime, uri: RedirectUri) -> Flat:
    of_platform = shown(uri.settings, *PlatformSettings.model_fields)
    ours = uri.url == runtime.settings.callback_url
    return {"id": uri.id, "url": uri.url, "platform": uri.platform, "is_ours": ours, **of_platform}
