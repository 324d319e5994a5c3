"""Bring your own authentication at the simulator: each provider's way in, and what is refused."""

import httpx
import pytest


async def seed(nylas: httpx.AsyncClient, count: int, **more: str) -> list[str]:
    ids: list[str] = (await nylas.post("/_sim/seed", json={"grants": count, **more})).json()["grants"]
    return ids


async def custom(nylas: httpx.AsyncClient, provider: str, **settings: str) -> httpx.Response:
    return await nylas.post("/v3/connect/custom", json={"provider": provider, "settings": settings})


@pytest.mark.parametrize(
    ("provider", "settings", "email"),
    [
        ("google", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("microsoft", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("yahoo", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("zoom", {"refresh_token": "t:ada@example.com"}, "ada@example.com"),
        ("google", {"email_address": "ada@example.com", "credential_id": "c"}, "ada@example.com"),
        ("microsoft", {"email_address": "ada@example.com", "credential_id": "c"}, "ada@example.com"),
        ("imap", {"imap_username": "ada@example.com", "imap_password": "p"}, "ada@example.com"),
        ("icloud", {"username": "ada@example.com", "password": "p"}, "ada@example.com"),
        ("virtual-calendar", {"email": "floor3-room12"}, "floor3-room12"),
        (
            "ews",
            {"email": "ada@example.com", "ews_username": "ada", "ews_password": "p", "ews_host": "h"},
            "ada@example.com",
        ),
    ],
)
async def test_each_provider_has_its_way_in_and_a_second_time_renews(
    nylas: httpx.AsyncClient, provider: str, settings: dict[str, str], email: str
) -> None:
    first, second = await custom(nylas, provider, **settings), await custom(nylas, provider, **settings)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["data"]["email"] == email
    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    assert not {"refresh_token", "password", "imap_password", "ews_password"} & set(first.json()["data"]["settings"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "api.invalid_request_payload"),
        (b"{}", "grant.provider_required"),
        (b'{"provider": "pigeon", "settings": {}}', "invalid_request_error"),
        (b'{"provider": "google"}', "invalid_request_error"),
        (b'{"provider": "google", "settings": {"email_address": "a@b.c"}}', "invalid_request_error"),
        (b'{"provider": "zoom", "settings": {"refresh_token": "revoked-yesterday"}}', "bad_request"),
    ],
)
async def test_what_custom_auth_cannot_use_is_refused(nylas: httpx.AsyncClient, body: bytes, kind: str) -> None:
    answer = await nylas.post("/v3/connect/custom", content=body)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, kind)


async def test_a_broken_credential_fails_in_bulk_until_it_is_repaired(nylas: httpx.AsyncClient) -> None:
    [grant_id] = await seed(nylas, 1, credential_id="cred")
    bulk = {"email_address": "user000001@example.com", "credential_id": "cred"}

    broken = await nylas.post("/_sim/credentials/cred/break", json={"expire_grants": True})
    refused = await custom(nylas, "google", **bulk)
    await nylas.post("/_sim/credentials/cred/repair")
    taken = await custom(nylas, "google", **bulk)

    assert broken.json()["expired"] == [grant_id]
    assert refused.status_code == 400
    assert refused.json()["error"]["provider_error"] == {
        "error": "invalid_grant",
        "provider_error": "Bad Request",
    }
    assert (taken.status_code, taken.json()["data"]["id"]) == (201, grant_id)


async def test_a_grant_without_scopes_of_its_own_has_the_connectors_and_keeps_them(nylas: httpx.AsyncClient) -> None:
    settings = {"refresh_token": "t:ada@example.com"}
    await nylas.patch("/v3/connectors/google", json={"scope": ["openid"]})
    first = await custom(nylas, "google", **settings)
    await nylas.patch("/v3/connectors/google", json={"scope": ["email"]})
    again = await custom(nylas, "google", **settings)
    named = await nylas.post(
        "/v3/connect/custom", json={"provider": "google", "settings": settings, "scope": "openid,email"}
    )

    scopes = [answer.json()["data"]["scope"] for answer in (first, again, named)]
    assert scopes == [["openid"], ["openid"], ["openid", "email"]]


async def test_a_credential_beside_the_settings_counts_too(nylas: httpx.AsyncClient) -> None:
    await seed(nylas, 1, credential_id="cred")

    sent = {"provider": "google", "credential_id": "cred", "settings": {"email_address": "ada@example.com"}}
    answer = await nylas.post("/v3/connect/custom", json=sent)

    assert answer.json()["data"]["credential_id"] == "cred"


async def test_an_agent_account_has_a_name_a_workspace_and_maybe_a_password(nylas: httpx.AsyncClient) -> None:
    await nylas.post("/v3/connectors", json={"provider": "nylas"})
    sent = {"provider": "nylas", "name": "Sales Agent", "workspace_id": "w", "settings": {"email": "a@agents.example"}}

    made = await nylas.post("/v3/connect/custom", json=sent)
    short = await custom(nylas, "nylas", email="a@agents.example", app_password="short")

    assert (made.json()["data"]["name"], made.json()["data"]["workspace_id"]) == ("Sales Agent", "w")
    assert short.status_code == 400


async def test_a_blocked_grant_can_be_read_and_nothing_else(nylas: httpx.AsyncClient) -> None:
    [grant] = await seed(nylas, 1)
    mailbox = {"refresh_token": "t:user000001@example.com"}
    credentials = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "k", "grant_id": grant}
    token = (await nylas.post("/v3/connect/token", json=credentials)).json()["access_token"]
    await nylas.post(f"/_sim/grants/{grant}/block")

    answers = [
        await custom(nylas, "google", **mailbox),
        await nylas.patch(f"/v3/grants/{grant}", json={"settings": mailbox}),
        await nylas.get("/v3/grants/me", headers={"Authorization": f"Bearer {token}"}),
    ]

    assert {(one.status_code, one.json()["error"]["type"]) for one in answers} == {(423, "api.resource_blocked")}
    assert (await nylas.get(f"/v3/grants/{grant}")).json()["data"]["blocked"] is True
    await nylas.post(f"/_sim/grants/{grant}/block", json={"blocked": False})
    assert (await custom(nylas, "google", **mailbox)).status_code == 201
