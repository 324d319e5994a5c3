"""Connectors at the simulator: one for each provider, and what becomes of grants without."""

from typing import Any

import httpx
import pytest

from simulator import start
from tests.hosted import brought_back, sign_in, visit

GOOGLE = {
    "provider": "google",
    "settings": {"client_id": "app.example", "client_secret": "s3cret", "topic_name": "mail"},
    "scope": ["openid"],
}
CONNECTORS = "/v3/connectors"


@pytest.fixture
async def bare(nylas: httpx.AsyncClient) -> httpx.AsyncClient:
    """A caller of a fresh application, without a connector."""
    await nylas.post("/_sim/reset", json={"connectors": []})
    return nylas


async def created(nylas: httpx.AsyncClient, provider: str, **more: Any) -> dict[str, Any]:
    answer = await nylas.post(CONNECTORS, json={"provider": provider, **more})
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def app(**more: str) -> dict[str, str]:
    """Settings of a provider that knows apps by id and secret."""
    return {"client_id": "app.example", "client_secret": "s3cret", **more}


async def test_a_newcomer_finds_a_connector_for_each_provider(nylas: httpx.AsyncClient) -> None:
    listed = (await nylas.get(CONNECTORS)).json()

    assert {connector["provider"] for connector in listed["data"]} == {
        *("google", "microsoft", "yahoo", "zoom", "imap", "icloud", "ews", "virtual-calendar")
    }
    assert (listed["limit"], listed["offset"]) == (10, 0)
    assert "client_secret" not in str(listed)


async def test_a_bare_simulator_has_none_and_a_reset_brings_none_back() -> None:
    sim = await start(connectors=())
    try:
        async with httpx.AsyncClient(base_url=sim.url, headers={"Authorization": "Bearer key"}) as nylas:
            assert (await nylas.get(CONNECTORS)).json()["data"] == []
            await nylas.post("/_sim/reset")
            assert (await nylas.get(CONNECTORS)).json()["data"] == []
            assert (await nylas.post("/_sim/reset", json={"connectors": ["pigeon"]})).status_code == 400
    finally:
        await sim.stop()


async def test_a_connector_is_shown_without_its_secrets_and_has_a_first_credential(bare: httpx.AsyncClient) -> None:
    made = (await bare.post(CONNECTORS, json=GOOGLE)).json()["data"]

    credential = made.pop("active_credential_id")
    assert made == {"name": "google", "provider": "google", "settings": {"topic_name": "mail"}, "scope": ["openid"]}
    assert (await bare.get(f"{CONNECTORS}/google")).json()["data"] == made | {"active_credential_id": credential}
    assert [one["id"] for one in (await bare.get(f"{CONNECTORS}/google/creds")).json()["data"]] == [credential]


async def test_each_provider_has_its_settings(bare: httpx.AsyncClient) -> None:
    microsoft = await created(bare, "microsoft", settings=app(), name="Ours")
    imap = await created(bare, "imap")
    ews = await created(bare, "ews", settings={}, scopes="ews.messages")
    zoom = await created(bare, "zoom", settings=app(), scope=["meeting:write"])

    assert (microsoft["name"], microsoft["settings"]) == ("Ours", {"tenant": "common"})
    assert imap == {"name": "imap", "provider": "imap"}
    assert ews["scope"] == ["ews.messages"]
    assert "scope" not in zoom
    assert (await created(bare, "nylas"))["provider"] == "nylas"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "provider"),
        ({"provider": "pigeon"}, "provider"),
        ({"provider": "google"}, "client_secret"),
        ({"provider": "yahoo", "settings": {"client_id": "a"}}, "client_secret"),
        ({"provider": "zoom", "settings": "none"}, "settings"),
        ({"provider": "ews"}, "settings"),
        ({**GOOGLE, "scope": "openid"}, "scope"),
        ({**GOOGLE, "name": 7}, "name"),
        ({**GOOGLE, "active_credential_id": "x"}, "active_credential_id"),
    ],
)
async def test_a_connector_that_lacks_something_is_refused(
    bare: httpx.AsyncClient, body: dict[str, Any], named: str
) -> None:
    answer = await bare.post(CONNECTORS, json=body)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert named in answer.json()["error"]["message"]


async def test_a_provider_has_one_connector_at_most(nylas: httpx.AsyncClient) -> None:
    again = await nylas.post(CONNECTORS, json=GOOGLE)

    assert again.status_code == 400
    assert "exists already" in again.json()["error"]["message"]


async def test_the_list_has_pages_and_answers_under_its_old_name(nylas: httpx.AsyncClient) -> None:
    pages = [
        (await nylas.get("/v3/integrations", params={"limit": 5, "offset": offset})).json()["data"] for offset in (0, 5)
    ]

    assert [len(page) for page in pages] == [5, 3]
    assert (await nylas.get(CONNECTORS, params={"limit": 201})).status_code == 400
    assert (await nylas.get("/v3/integrations/imap")).json()["data"]["provider"] == "imap"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_an_update_keeps_what_it_does_not_name_and_replaces_settings_whole(
    bare: httpx.AsyncClient, method: str
) -> None:
    await bare.post(CONNECTORS, json=GOOGLE)

    scoped = await bare.request(method, f"{CONNECTORS}/google", json={"scope": ["email"], "name": "Mail"})
    settled = await bare.request(method, f"{CONNECTORS}/google", json={"settings": app()})

    assert scoped.json()["data"] | {"active_credential_id": ""} == {
        "name": "Mail",
        "provider": "google",
        "scope": ["email"],
        "settings": {"topic_name": "mail"},
        "active_credential_id": "",
    }
    assert "settings" not in settled.json()["data"]
    assert settled.json()["data"]["scope"] == ["email"]


async def test_settings_that_lose_the_apps_secret_stop_sign_ins_until_they_are_whole(bare: httpx.AsyncClient) -> None:
    """The trap of the nested object: naming the topic alone drops the client's id and secret."""
    await bare.post(CONNECTORS, json=GOOGLE)
    by_token = {"provider": "google", "settings": {"refresh_token": "t:ada@example.com"}}

    await bare.patch(f"{CONNECTORS}/google", json={"settings": {"topic_name": "other"}})
    hosted, own = await visit(bare, provider="google"), await bare.post("/v3/connect/custom", json=by_token)
    await bare.patch(f"{CONNECTORS}/google", json={"settings": app()})

    assert brought_back(hosted)["error"] == "invalid_client"
    assert own.json()["error"]["provider_error"]["error"] == "invalid_client"
    assert (await bare.post("/v3/connect/custom", json=by_token)).status_code == 201


async def test_the_active_credential_must_be_one_of_the_connectors_apps(bare: httpx.AsyncClient) -> None:
    await bare.post(CONNECTORS, json=GOOGLE)
    made = {"name": "second", "credential_type": "connector", "credential_data": app()}
    second = (await bare.post(f"{CONNECTORS}/google/creds", json=made)).json()["data"]["id"]

    unknown = await bare.patch(f"{CONNECTORS}/google", json={"active_credential_id": "nobody"})
    changed = await bare.patch(f"{CONNECTORS}/google", json={"active_credential_id": second})

    assert unknown.status_code == 400
    assert changed.json()["data"]["active_credential_id"] == second


async def test_a_connector_that_is_not_there_is_not_found(bare: httpx.AsyncClient) -> None:
    for method, path in [
        ("GET", ""),
        ("PATCH", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/creds"),
        ("POST", "/creds"),
    ]:
        answer = await bare.request(method, f"{CONNECTORS}/google{path}", json={})
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "api.not_found_error")


async def test_no_grant_without_a_connector(bare: httpx.AsyncClient) -> None:
    hosted = await visit(bare, provider="google")
    own = await bare.post("/v3/connect/custom", json={"provider": "imap", "settings": {}})
    settings = {"imap_username": "ada@example.com", "imap_password": "p"}
    imap = await bare.post("/v3/connect/custom", json={"provider": "imap", "settings": settings})

    assert (hosted.status_code, own.status_code, imap.status_code) == (400, 400, 400)
    assert "no connector for google" in hosted.json()["error"]["message"]
    assert "no connector for imap" in imap.json()["error"]["message"]


async def test_a_deleted_connector_stops_its_grants_at_once_and_takes_them_along_later(
    nylas: httpx.AsyncClient,
) -> None:
    mine = (await sign_in(nylas, provider="google", login_hint="ada@example.com")).json()["grant_id"]
    other = (await sign_in(nylas, provider="yahoo", login_hint="bob@example.com")).json()["grant_id"]

    gone = await nylas.delete(f"{CONNECTORS}/google")
    stopped = (await nylas.get(f"/v3/grants/{mine}")).json()["data"]["grant_status"]
    await nylas.post("/_sim/clock", json={"forward_s": 25 * 3600})

    assert (gone.status_code, gone.json().keys()) == (200, {"request_id"})
    assert stopped == "invalid"
    assert (await nylas.get(f"{CONNECTORS}/google/creds")).status_code == 404
    assert (await nylas.get(f"/v3/grants/{mine}")).status_code == 404
    assert [grant["id"] for grant in (await nylas.get("/v3/grants")).json()["data"]] == [other]


async def test_a_grant_that_is_authenticated_in_the_grace_stays(nylas: httpx.AsyncClient) -> None:
    grant = (await sign_in(nylas, provider="google", login_hint="ada@example.com")).json()["grant_id"]
    await nylas.delete(f"{CONNECTORS}/google")
    await nylas.post(CONNECTORS, json=GOOGLE)

    await sign_in(nylas, provider="google", login_hint="ada@example.com")
    await nylas.post("/_sim/clock", json={"forward_s": 25 * 3600})

    kept = (await nylas.get(f"/v3/grants/{grant}")).json()["data"]
    assert (kept["grant_status"], kept["scope"]) == ("valid", ["openid"])
