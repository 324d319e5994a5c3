"""Connector credentials at the simulator: their types, their secrets, and the grants that hang on them."""

import asyncio
from typing import Any

import httpx
import pytest
from nylas import Client
from nylas.models.errors import NylasApiError

from simulator import start
from tests.hosted import brought_back, exchange, visit

GOOGLE, MICROSOFT = "/v3/connectors/google/creds", "/v3/connectors/microsoft/creds"
KEY_FILE = {"private_key_id": "1", "private_key": "-----BEGIN", "client_email": "sync@example.com", "type": "x"}
APP = {"client_id": "app.example", "client_secret": "s3cret"}
SERVICE = {"name": "workspace", "credential_type": "serviceaccount", "credential_data": KEY_FILE}
CONSENT = {"name": "tenant", "credential_type": "adminconsent", "credential_data": {"tenant": "example.com"}}
SECOND_APP = {"name": "second", "credential_type": "connector", "credential_data": APP}


async def created(nylas: httpx.AsyncClient, path: str, body: dict[str, Any]) -> str:
    answer = await nylas.post(path, json=body)
    assert answer.status_code == 201, answer.text
    credential_id: str = answer.json()["data"]["id"]
    return credential_id


async def custom(nylas: httpx.AsyncClient, provider: str, **settings: str) -> httpx.Response:
    return await nylas.post("/v3/connect/custom", json={"provider": provider, "settings": settings})


async def test_a_credential_is_shown_without_its_data(nylas: httpx.AsyncClient) -> None:
    credential = await created(nylas, GOOGLE, SERVICE)

    shown = (await nylas.get(f"{GOOGLE}/{credential}")).json()["data"]
    assert shown.keys() == {"id", "name", "created_at", "updated_at"}
    assert (shown["name"], shown["created_at"]) == ("workspace", shown["updated_at"])


async def test_the_same_parameters_give_the_same_credential_and_a_name_is_unique(nylas: httpx.AsyncClient) -> None:
    first, again = await created(nylas, GOOGLE, SERVICE), await created(nylas, GOOGLE, SERVICE)
    other = await nylas.post(GOOGLE, json=SERVICE | {"credential_data": KEY_FILE | {"private_key": "other"}})

    assert first == again
    assert other.status_code == 400
    assert "workspace" in other.json()["error"]["message"]
    assert "-----BEGIN" not in other.text


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (GOOGLE, SERVICE | {"name": ""}, "name"),
        (GOOGLE, SERVICE | {"credential_type": "password"}, "serviceaccount"),
        (GOOGLE, SERVICE | {"credential_data": None}, "credential_data"),
        (GOOGLE, SERVICE | {"credential_data": {"private_key": "k"}}, "client_email"),
        (GOOGLE, SECOND_APP | {"credential_data": {"client_id": "a"}}, "client_secret"),
        (GOOGLE, CONSENT, "adminconsent"),
        (MICROSOFT, SERVICE, "serviceaccount"),
        (MICROSOFT, CONSENT | {"credential_data": {}}, "client_id"),
        (MICROSOFT, CONSENT | {"credential_data": {"tenant": "t", "client_id": "a"}}, "client_secret"),
        ("/v3/connectors/imap/creds", SECOND_APP, "imap"),
    ],
)
async def test_a_credential_that_does_not_fit_is_refused(
    nylas: httpx.AsyncClient, path: str, body: dict[str, Any], named: str
) -> None:
    answer = await nylas.post(path, json=body)

    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize("told", [{"tenant": "t"}, APP, {**APP, "tenant": "t"}])
async def test_admin_consent_has_a_tenant_or_an_app_of_its_own(nylas: httpx.AsyncClient, told: dict[str, str]) -> None:
    assert await created(nylas, MICROSOFT, CONSENT | {"credential_data": told})


async def test_credentials_are_listed_newest_first_or_as_asked(nylas: httpx.AsyncClient) -> None:
    default = (await nylas.get("/v3/connectors/google")).json()["data"]["active_credential_id"]
    service, second = await created(nylas, GOOGLE, SERVICE), await created(nylas, GOOGLE, SECOND_APP)
    await nylas.post("/_sim/clock", json={"forward_s": 60})
    await nylas.patch(f"{GOOGLE}/{service}", json={"name": "renamed"})

    async def ids(**params: str | int) -> list[str]:
        return [one["id"] for one in (await nylas.get(GOOGLE, params=params)).json()["data"]]

    assert await ids() == [second, service, default]
    assert await ids(order_by="asc") == [default, service, second]
    assert await ids(sort_by="updated_at", limit=1) == [service]
    assert await ids(limit=2, offset=2) == [default]
    assert (await nylas.get(GOOGLE, params={"sort_by": "name"})).status_code == 400


async def test_a_patch_renames_or_replaces_the_data_whole(nylas: httpx.AsyncClient) -> None:
    credential = await created(nylas, GOOGLE, SERVICE)
    await created(nylas, GOOGLE, SECOND_APP)

    renamed = await nylas.patch(f"{GOOGLE}/{credential}", json={"name": "new name"})
    taken = await nylas.patch(f"{GOOGLE}/{credential}", json={"name": "second"})
    partial = await nylas.patch(f"{GOOGLE}/{credential}", json={"credential_data": {"private_key": "k"}})
    missing = await nylas.patch(f"{GOOGLE}/nobody", json={"name": "x"})

    assert renamed.json()["data"]["name"] == "new name"
    assert (taken.status_code, partial.status_code, missing.status_code) == (400, 400, 404)


async def test_new_data_mend_a_broken_credential_and_each_grant_waits_for_its_own_sign_in(
    nylas: httpx.AsyncClient,
) -> None:
    credential = await created(nylas, GOOGLE, SERVICE)
    mailbox = {"email_address": "ada@example.com", "credential_id": credential}
    grant = (await custom(nylas, "google", **mailbox)).json()["data"]["id"]
    await nylas.post(f"/_sim/credentials/{credential}/break", json={"expire_grants": True})
    refused = await custom(nylas, "google", **mailbox)

    await nylas.patch(f"{GOOGLE}/{credential}", json={"credential_data": KEY_FILE | {"private_key": "new"}})
    still = (await nylas.get(f"/v3/grants/{grant}")).json()["data"]["grant_status"]
    healed = await custom(nylas, "google", **mailbox)

    assert refused.json()["error"]["provider_error"]["error"] == "invalid_grant"
    assert still == "invalid"
    assert (healed.json()["data"]["id"], healed.json()["data"]["grant_status"]) == (grant, "valid")


async def test_the_default_credential_stays_and_another_takes_its_grants_down(nylas: httpx.AsyncClient) -> None:
    default = (await nylas.get("/v3/connectors/google")).json()["data"]["active_credential_id"]
    credential = await created(nylas, GOOGLE, SERVICE)
    mailbox = {"email_address": "ada@example.com", "credential_id": credential}
    grant = (await custom(nylas, "google", **mailbox)).json()["data"]["id"]
    await nylas.post("/_sim/webhooks", json={"url": "http://127.0.0.1:1/nobody"})
    await nylas.post("/_sim/delivery", json={"retry_waits_ms": [0, 0]})

    kept = await nylas.delete(f"{GOOGLE}/{default}")
    gone = await nylas.delete(f"{GOOGLE}/{credential}")

    assert kept.status_code == 400
    assert (gone.status_code, gone.json().keys()) == (200, {"request_id"})
    assert (await nylas.get(f"{GOOGLE}/{credential}")).status_code == 404
    assert (await nylas.get(f"/v3/grants/{grant}")).json()["data"]["grant_status"] == "invalid"
    told = (await nylas.get("/_sim/deliveries", params={"wait": 3})).json()["deliveries"]
    assert {(one["type"], one["grant_id"]) for one in told} == {("grant.expired", grant)}


async def test_custom_auth_refuses_a_credential_that_is_unknown_or_of_another_type(nylas: httpx.AsyncClient) -> None:
    service, second = await created(nylas, GOOGLE, SERVICE), await created(nylas, GOOGLE, SECOND_APP)
    bulk = {"email_address": "ada@example.com"}

    unknown = await custom(nylas, "google", **bulk, credential_id="nobody")
    an_app = await custom(nylas, "google", **bulk, credential_id=second)
    for_all = await custom(nylas, "google", refresh_token="t:ada@example.com", credential_id=service)
    right = await custom(nylas, "google", refresh_token="t:ada@example.com", credential_id=second)

    assert (unknown.status_code, an_app.status_code, for_all.status_code) == (400, 400, 400)
    assert "credential_id" in unknown.json()["error"]["message"]
    assert right.json()["data"]["credential_id"] == second


async def test_an_organisation_at_microsoft_is_signed_in_only_once_its_administrator_consented(
    nylas: httpx.AsyncClient,
) -> None:
    credential = await created(nylas, MICROSOFT, CONSENT)
    mailbox = {"email_address": "grace@example.org", "credential_id": credential}
    admin = {"response_type": "adminconsent", "provider": "microsoft", "credential_id": credential, "state": "s"}

    early = await custom(nylas, "microsoft", **mailbox)
    back = brought_back(await visit(nylas, **admin))
    after = await custom(nylas, "microsoft", **mailbox)

    assert early.json()["error"]["provider_error"]["error"] == "unauthorized_client"
    assert back == {"admin_consent": "true", "state": "s"}
    assert after.status_code == 201


async def test_a_seeded_credential_is_there_and_signs_its_mailboxes_in(nylas: httpx.AsyncClient) -> None:
    await nylas.post("/_sim/reset", json={"connectors": []})
    await nylas.post("/_sim/seed", json={"grants": 1, "provider": "microsoft", "credential_id": "cred"})

    mailbox = {"email_address": "user000001@example.com", "credential_id": "cred"}
    assert (await nylas.get(f"{MICROSOFT}/cred")).json()["data"]["name"] == "cred"
    assert (await custom(nylas, "microsoft", **mailbox)).status_code == 201


async def test_hosted_oauth_goes_through_the_app_that_is_named(nylas: httpx.AsyncClient) -> None:
    second = await created(nylas, GOOGLE, SECOND_APP)

    code = brought_back(await visit(nylas, provider="google", credential_id=second))["code"]
    grant = (await exchange(nylas, code)).json()["grant_id"]
    await nylas.post(f"/_sim/credentials/{second}/break")
    broken = brought_back(await visit(nylas, provider="google", credential_id=second))

    assert (await nylas.get(f"/v3/grants/{grant}")).json()["data"]["credential_id"] == second
    assert broken["error"] == "invalid_client"


async def test_nylas_own_sdk_manages_connectors_and_credentials() -> None:
    sim = await start(connectors=())

    def use() -> None:
        nylas = Client("key", api_uri=sim.url)
        settings = {**APP, "topic_name": "mail"}
        made = nylas.connectors.create({"provider": "google", "settings": settings, "scope": ["openid"]}).data
        assert (made.provider, made.scope, made.settings) == ("google", ["openid"], {"topic_name": "mail"})
        assert [one.provider for one in nylas.connectors.list().data] == ["google"]
        assert nylas.connectors.update("google", {"scope": ["email"]}).data.scope == ["email"]

        credentials = nylas.connectors.credentials
        credential = credentials.create("google", SERVICE).data
        assert credentials.find("google", credential.id).data.name == "workspace"
        assert credentials.update("google", credential.id, {"name": "other"}).data.name == "other"
        assert len(credentials.list("google").data) == 2
        assert credentials.destroy("google", credential.id).request_id
        with pytest.raises(NylasApiError) as raised:
            credentials.find("google", credential.id)
        assert (raised.value.status_code, raised.value.type) == (404, "api.not_found_error")
        assert nylas.connectors.destroy("google").request_id

    try:
        await asyncio.to_thread(use)
    finally:
        await sim.stop()
