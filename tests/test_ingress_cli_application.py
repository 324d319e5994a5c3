"""`evergrant applications` and `redirect-uris`: whose key it is, and where users may come back to."""

import pytest

from simulator import Running
from tests.conftest import CLIENT_ID
from tests.in_process import Command
from tests.installed import PUBLIC_URL, evergrant, migrated

__all__ = ["evergrant", "migrated"]

OURS = f"{PUBLIC_URL}/oauth/callback"


async def test_the_application_is_shown(evergrant: Command, sim: Running) -> None:
    sim.state.application.register(OURS)
    shown, table = await evergrant("applications", "show", "--json"), await evergrant("applications", "show")
    assert (shown.data["application_id"], shown.data["region"]) == (CLIENT_ID, "us")
    assert shown.data["callback_uris"] == [OURS]
    assert shown.err == ""
    assert OURS in table.out


async def test_a_key_of_another_application_is_told_of(evergrant: Command) -> None:
    said = await evergrant("applications", "show", "--json", NYLAS_CLIENT_ID="another")
    assert said.data["application_id"] == CLIENT_ID
    assert "not the application that EVERGRANT_NYLAS_CLIENT_ID names" in said.err


async def test_our_own_callback_is_registered_once(evergrant: Command, sim: Running) -> None:
    first, again = await evergrant("redirect-uris", "add", "--json"), await evergrant("redirect-uris", "add", "--json")
    assert (first.data["url"], first.data["platform"], first.data["is_ours"]) == (OURS, "web", True)
    assert again.data == first.data
    assert "registered already" in again.err
    listed = await evergrant("redirect-uris", "list", "--json")
    assert listed.data == [first.data]
    assert len(sim.state.application.redirect_uris) == 1


@pytest.mark.parametrize(
    ("arguments", "platform", "settings"),
    [
        ("https://a.example/cb --platform js --origin https://a.example", "js", {"origin": "https://a.example"}),
        ("http://localhost:3000/cb --platform desktop", "desktop", {}),
        ("myapp://cb --platform ios --bundle-id com.a --team-id T", "ios", {"bundle_id": "com.a", "team_id": "T"}),
        (
            "myapp://cb --platform android --package-name com.a --sha1-certificate-fingerprint AB:CD",
            "android",
            {"package_name": "com.a", "sha1_certificate_fingerprint": "AB:CD"},
        ),
    ],
)
async def test_each_platform_gets_its_settings(
    evergrant: Command, sim: Running, arguments: str, platform: str, settings: dict[str, str]
) -> None:
    said = await evergrant("redirect-uris", "add", *arguments.split(), "--json")
    [registered] = sim.state.application.redirect_uris.values()
    assert (registered.platform, registered.settings) == (platform, settings)
    assert said.data["is_ours"] is False
    assert {name: said.data[name] for name in settings} == settings


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("http://a.example/cb", "Nylas takes https URLs, and http only for localhost"),
        ("a.example/cb", "Nylas takes https URLs"),
        ("myapp://cb", "Nylas takes https URLs"),
        ("https://a.example/cb#x", "has a fragment"),
        ("https://[::1/cb", "is no URL"),
        ("https://a.example/cb --platform js", "the platform js needs the settings origin"),
        ("https://a.example/cb --platform tv", "--platform: Input should be 'web', 'desktop', 'js'"),
    ],
)
async def test_what_nylas_would_not_take_is_refused(evergrant: Command, sim: Running, arguments: str, why: str) -> None:
    said = await evergrant("redirect-uris", "add", *arguments.split())
    assert (said.code, said.out) == (2, "")
    assert why in said.err
    assert sim.state.calls.total == 0


async def test_a_redirect_uri_is_removed_by_its_id_or_its_url(evergrant: Command, sim: Running) -> None:
    other = sim.state.application.register("https://a.example/cb")
    sim.state.application.register(OURS)
    asked = await evergrant("redirect-uris", "remove", OURS)
    assert (asked.code, len(sim.state.application.redirect_uris)) == (2, 2)
    assert "It is our own" in asked.err
    by_url = await evergrant("redirect-uris", "remove", OURS, "--yes", "--json")
    by_id = await evergrant("redirect-uris", "remove", other.id, "--yes")
    assert (by_url.data["url"], by_url.data["deleted"]) == (OURS, True)
    assert (by_id.code, sim.state.application.redirect_uris) == (0, {})
    gone = await evergrant("redirect-uris", "remove", OURS, "--yes")
    assert (gone.code, "No redirect URI has the id or the URL" in gone.err) == (1, True)


async def test_a_url_that_is_registered_twice_is_removed_by_its_id_only(evergrant: Command, sim: Running) -> None:
    ids = [sim.state.application.register("https://a.example/cb", platform).id for platform in ("web", "desktop")]
    said = await evergrant("redirect-uris", "remove", "https://a.example/cb", "--yes")
    assert said.code == 1
    assert all(uri_id in said.err for uri_id in ids)
    assert len(sim.state.application.redirect_uris) == 2
