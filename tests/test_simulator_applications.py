"""The application at the simulator, and the detection of providers for it."""

from typing import Any

import httpx
import pytest

from simulator import start
from tests.hosted import CALLBACK

APPLICATION = "/v3/applications"


async def patched(nylas: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await nylas.patch(APPLICATION, json=changes)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_the_application_is_the_one_whose_client_id_is_used() -> None:
    sim = await start(client_id="app")
    try:
        async with httpx.AsyncClient(base_url=sim.url, headers={"Authorization": "Bearer key"}) as nylas:
            shown = (await nylas.get(APPLICATION)).json()["data"]
    finally:
        await sim.stop()

    assert (shown["application_id"], shown["region"], shown["environment"]) == ("app", "us", "production")
    assert shown.keys() >= {"organization_id", "branding", "hosted_authentication", "callback_uris"}


async def test_a_patch_replaces_nested_objects_whole_and_keeps_the_rest(nylas: httpx.AsyncClient) -> None:
    before = (await nylas.get(APPLICATION)).json()["data"]

    after = await patched(nylas, branding={"name": "Mail Hub"}, domain="login.example.com", region="eu")

    assert (after["branding"], after["domain"]) == ({"name": "Mail Hub"}, "login.example.com")
    assert (after["region"], after["hosted_authentication"]) == ("us", before["hosted_authentication"])


async def test_additional_settings_go_in_and_never_come_out(nylas: httpx.AsyncClient) -> None:
    after = await patched(nylas, additional_settings={"login_url": "https://app.example.com/login"})

    assert "additional_settings" not in after
    assert "login.example" not in (await nylas.get(APPLICATION)).text


async def test_the_list_of_callbacks_is_replaced_and_who_names_an_id_keeps_it(nylas: httpx.AsyncClient) -> None:
    [kept, _] = [
        (await nylas.post(f"{APPLICATION}/redirect-uris", json={"url": url})).json()["data"]
        for url in (CALLBACK, "https://b.example/")
    ]

    after = await patched(
        nylas, callback_uris=[{"id": kept["id"], "url": "https://a.example/"}, {"id": "made-up", "url": CALLBACK}]
    )

    assert [uri["url"] for uri in after["callback_uris"]] == ["https://a.example/", CALLBACK]
    assert after["callback_uris"][0]["id"] == kept["id"]
    assert after["callback_uris"][1]["id"] != "made-up"


@pytest.mark.parametrize(
    "changes",
    [
        {"branding": "Mail Hub"},
        {"domain": 7},
        {"callback_uris": CALLBACK},
        {"callback_uris": [{"url": "http://app.example.com"}]},
        {"additional_settings": {"rotate_refresh_token": 1}},
        {"additional_settings": {"refresh_token_expiration_idle": -1}},
        {"additional_settings": {"refresh_token_expiration_absolute": "a day"}},
    ],
)
async def test_a_patch_that_is_wrong_changes_nothing(nylas: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    before = (await nylas.get(APPLICATION)).json()["data"]

    assert (await nylas.patch(APPLICATION, json=changes)).status_code == 400
    assert (await nylas.get(APPLICATION)).json()["data"] == before


async def detected(nylas: httpx.AsyncClient, email: str, **params: str) -> dict[str, Any]:
    answer = await nylas.post("/v3/providers/detect", params={"email": email, **params})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    assert data.pop("email_address") == email
    return data


@pytest.mark.parametrize(
    ("email", "found"),
    [
        ("ada@gmail.com", {"detected": True, "provider": "google"}),
        ("ada@Outlook.com", {"detected": True, "provider": "microsoft"}),
        ("ada@yahoo.com", {"detected": True, "provider": "yahoo"}),
        ("ada@me.com", {"detected": True, "provider": "icloud"}),
        ("ada@gmx.de", {"detected": True, "provider": "imap", "type": "gmx"}),
        ("ada@unknown.example", {"detected": False}),
    ],
)
async def test_a_provider_is_told_by_the_domain(nylas: httpx.AsyncClient, email: str, found: dict[str, Any]) -> None:
    assert await detected(nylas, email) == found


async def test_only_providers_with_a_connector_are_told_unless_all_are_asked_for(nylas: httpx.AsyncClient) -> None:
    await nylas.post("/_sim/reset", json={"connectors": ["imap"]})

    assert await detected(nylas, "ada@gmail.com") == {"detected": False}
    assert await detected(nylas, "ada@gmail.com", all_provider_types="true") == {
        "detected": True,
        "provider": "google",
    }
    assert await detected(nylas, "ada@me.com") == {"detected": True, "provider": "imap", "type": "icloud"}
    await nylas.delete("/v3/connectors/imap")
    assert await detected(nylas, "ada@me.com", all_provider_types="false") == {"detected": False}


@pytest.mark.parametrize("params", [{}, {"email": "ada"}, {"email": "ada@gmail.com", "all_provider_types": "maybe"}])
async def test_a_detection_without_an_address_is_refused(nylas: httpx.AsyncClient, params: dict[str, str]) -> None:
    assert (await nylas.post("/v3/providers/detect", params=params)).status_code == 400
