"""Redirect URIs at the simulator: the list that logins and exchanges are held to."""

from typing import Any

import httpx
import pytest

from tests.hosted import CALLBACK, brought_back, exchange, visit

URIS = "/v3/applications/redirect-uris"
APP = {"bundle_id": "com.example.mail"}
ANDROID = {"package_name": "com.example.mail", "sha1_certificate_fingerprint": "AB:CD"}


async def registered(nylas: httpx.AsyncClient, url: str = CALLBACK, **more: Any) -> dict[str, Any]:
    answer = await nylas.post(URIS, json={"url": url, **more})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_a_callback_is_registered_listed_read_and_removed(nylas: httpx.AsyncClient) -> None:
    uri = await registered(nylas)

    assert uri == {"id": uri["id"], "url": CALLBACK, "platform": "web"}
    assert (await nylas.get(URIS)).json()["data"] == [uri]
    assert (await nylas.get(f"{URIS}/{uri['id']}")).json()["data"] == uri
    assert (await nylas.get("/v3/applications")).json()["data"]["callback_uris"] == [uri]
    assert (await nylas.get("/v3/applications/callback-uris")).json()["data"] == [uri]
    assert (await nylas.delete(f"{URIS}/{uri['id']}")).json().keys() == {"request_id"}
    for method in ("GET", "PATCH", "DELETE"):
        assert (await nylas.request(method, f"{URIS}/{uri['id']}", json={})).status_code == 404


async def test_only_registered_callbacks_are_allowed_byte_for_byte(nylas: httpx.AsyncClient) -> None:
    uri = await registered(nylas)

    code = brought_back(await visit(nylas))["code"]
    other = await visit(nylas, redirect_uri=CALLBACK + "/")
    await nylas.delete(f"{URIS}/{uri['id']}")

    assert (await exchange(nylas, code)).status_code == 200
    assert other.json()["error"]["type"] == "grant.callback_uri_not_allowed"
    assert (await visit(nylas, redirect_uri=CALLBACK + "/")).status_code == 302


async def test_the_control_writes_the_same_list(nylas: httpx.AsyncClient) -> None:
    await registered(nylas, "https://other.example.com/")

    await nylas.post("/_sim/callback-uris", json={"urls": [CALLBACK, "http://127.0.0.1:1/"]})

    assert [uri["url"] for uri in (await nylas.get(URIS)).json()["data"]] == [CALLBACK, "http://127.0.0.1:1/"]


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://localhost:8080/back"},
        {"url": "http://127.0.0.1/back", "platform": "desktop"},
        {"url": "https://a.example/", "platform": "js", "settings": {"origin": "a.example"}},
        {"url": "mail://back", "platform": "ios", "settings": {**APP, "team_id": "T", "app_store_id": "1"}},
        {"url": "https://a.example/", "platform": "android", "settings": ANDROID},
    ],
)
async def test_each_platform_has_its_addresses_and_settings(nylas: httpx.AsyncClient, body: dict[str, Any]) -> None:
    uri = await registered(nylas, **body)

    assert uri == {"platform": "web", **body, "id": uri["id"]}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "url"),
        ({"url": "http://app.example.com/back"}, "HTTPS"),
        ({"url": "ftp://app.example.com/back"}, "HTTPS"),
        ({"url": "/oauth/callback"}, "HTTPS"),
        ({"url": "https://[/"}, "URL"),
        ({"url": "mail://back"}, "HTTPS"),
        ({"url": CALLBACK + "?a=b"}, "allow_query_param_in_redirect_uri"),
        ({"url": CALLBACK, "platform": "watch"}, "android"),
        ({"url": CALLBACK, "platform": "js"}, "settings.origin"),
        ({"url": CALLBACK, "platform": "ios"}, "settings.bundle_id"),
        ({"url": CALLBACK, "platform": "android", "settings": APP}, "settings.package_name"),
        ({"url": CALLBACK, "platform": "js", "settings": "none"}, "settings"),
    ],
)
async def test_a_callback_that_is_wrong_is_refused(nylas: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    answer = await nylas.post(URIS, json=body)

    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


async def test_a_callback_is_registered_once(nylas: httpx.AsyncClient) -> None:
    await registered(nylas)
    other = await registered(nylas, CALLBACK + "/")

    assert (await nylas.post(URIS, json={"url": CALLBACK})).status_code == 400
    assert (await nylas.patch(f"{URIS}/{other['id']}", json={"url": CALLBACK})).status_code == 400


async def test_a_query_in_a_callback_is_allowed_once_the_application_says_so(nylas: httpx.AsyncClient) -> None:
    await nylas.patch("/v3/applications", json={"additional_settings": {"allow_query_param_in_redirect_uri": True}})
    await registered(nylas, CALLBACK + "?tenant=1")

    back = await visit(nylas, redirect_uri=CALLBACK + "?tenant=1")

    assert back.headers["location"].startswith(CALLBACK + "?tenant=1&code=")


async def test_a_patch_without_a_platform_leaves_the_settings(nylas: httpx.AsyncClient) -> None:
    uri = await registered(nylas, platform="js", settings={"origin": "a.example"})
    path = f"{URIS}/{uri['id']}"

    moved = await nylas.patch(path, json={"url": "https://b.example/", "settings": {"origin": "b.example"}})
    settled = await nylas.patch(path, json={"platform": "js", "settings": {"origin": "b.example"}})
    web = await nylas.patch(path, json={"platform": "web"})
    lacking = await nylas.patch(path, json={"platform": "ios"})

    assert moved.json()["data"] == uri | {"url": "https://b.example/"}
    assert settled.json()["data"]["settings"] == {"origin": "b.example"}
    assert web.json()["data"] == {"id": uri["id"], "url": "https://b.example/", "platform": "web"}
    assert lacking.status_code == 400
