"""Nylas' own tokens at the simulator: who may ask for them, what they open, and how they end."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.hosted import CALLBACK, brought_back, exchange, sign_in, visit

HOUR = 3600
CLIENT = {"client_id": "app", "client_secret": "key"}


async def own_grant(nylas: httpx.AsyncClient, token: str) -> httpx.Response:
    """Ask which grant a token opens."""
    return await nylas.get("/v3/grants/me", headers={"Authorization": f"Bearer {token}"})


async def tokens(nylas: httpx.AsyncClient, **body: str) -> httpx.Response:
    return await nylas.post("/v3/connect/token", json={**CLIENT, **body})


async def forward(nylas: httpx.AsyncClient, seconds: int) -> None:
    await nylas.post("/_sim/clock", json={"forward_s": seconds})


def oauth_error(answer: httpx.Response) -> str:
    """The error of a flat OAuth body, which has no request id."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 400
    assert body.keys() == {"error", "error_code", "error_description", "error_uri"}
    return str(body["error"])


async def test_an_access_token_opens_its_own_grant_for_an_hour(nylas: httpx.AsyncClient) -> None:
    given = (await sign_in(nylas, login_hint="ada@example.com")).json()

    assert (await own_grant(nylas, given["access_token"])).json()["data"]["id"] == given["grant_id"]
    await forward(nylas, HOUR)
    expired = await own_grant(nylas, given["access_token"])
    assert (expired.status_code, expired.json()["error"]["type"]) == (401, "api.authentication_error")


async def test_neither_an_api_key_nor_nothing_is_an_access_token(nylas: httpx.AsyncClient) -> None:
    assert (await own_grant(nylas, "key")).status_code == 401
    assert (await nylas.get("/v3/grants/me", headers={"Authorization": ""})).status_code == 401


async def test_a_deleted_grant_takes_its_tokens_with_it(nylas: httpx.AsyncClient) -> None:
    given = (await sign_in(nylas, access_type="offline")).json()

    await nylas.delete(f"/v3/grants/{given['grant_id']}")

    assert (await own_grant(nylas, given["access_token"])).status_code == 401
    refreshed = await tokens(nylas, grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert oauth_error(refreshed) == "invalid_grant"


async def test_the_application_gets_an_access_token_for_a_grant_it_has(nylas: httpx.AsyncClient) -> None:
    [grant] = (await nylas.post("/_sim/seed", json={"grants": 1})).json()["grants"]

    given = await tokens(nylas, grant_type="client_credentials", grant_id=grant)

    assert given.json().keys() == {"access_token", "expires_in", "id_token", "scope", "token_type", "grant_id"}
    assert (await own_grant(nylas, given.json()["access_token"])).json()["data"]["id"] == grant
    for wrong in ({"grant_id": "nobody"}, {}):
        assert oauth_error(await tokens(nylas, grant_type="client_credentials", **wrong))
    secretless = {"grant_type": "client_credentials", "client_id": "app", "grant_id": grant}
    assert oauth_error(await nylas.post("/v3/connect/token", data=secretless)) == "invalid_request"


@pytest.mark.parametrize("grant_type", [{}, {"grant_type": "password"}])
async def test_other_ways_to_tokens_are_refused(nylas: httpx.AsyncClient, grant_type: dict[str, str]) -> None:
    assert oauth_error(await tokens(nylas, **grant_type)) in ("invalid_request", "unsupported_grant_type")


async def test_token_info_says_whose_a_token_is(nylas: httpx.AsyncClient) -> None:
    given = (await sign_in(nylas, login_hint="ada@example.com")).json()

    told = {}
    for name in ("access_token", "id_token"):
        answer = await nylas.get("/v3/connect/tokeninfo", params={name: given[name]})
        assert answer.json().keys() == {"request_id", "data"}
        told[name] = answer.json()["data"]

    for info in told.values():
        assert info.keys() == {"iss", "aud", "sub", "email", "iat", "exp"}
        assert (info["iss"], info["sub"], info["email"]) == (
            *("https://nylas.com", given["grant_id"]),
            "ada@example.com",
        )
        assert info["exp"] - info["iat"] == HOUR
    assert told["access_token"]["aud"] == "https://app.example.com"


async def test_token_info_refuses_what_is_no_token_of_ours(nylas: httpx.AsyncClient) -> None:
    given = (await sign_in(nylas)).json()
    head, claims, signature = given["id_token"].split(".")
    mine = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"email": "eve@example.com"}
    forged = base64.urlsafe_b64encode(json.dumps(mine).encode()).decode().rstrip("=")

    for params, error in [
        ({"access_token": "made-up"}, "invalid_token"),
        ({"id_token": f"{head}.{forged}.{signature}"}, "invalid_token"),
        ({"id_token": "gärbage"}, "invalid_token"),
        ({}, "invalid_request"),
        ({"access_token": given["access_token"], "id_token": given["id_token"]}, "invalid_request"),
    ]:
        assert oauth_error(await nylas.get("/v3/connect/tokeninfo", params=params)) == error
    await forward(nylas, HOUR)
    expired = await nylas.get("/v3/connect/tokeninfo", params={"id_token": given["id_token"]})
    assert oauth_error(expired) == "invalid_token"


async def test_a_revoked_token_takes_its_parent_and_siblings_along_but_not_the_grant(
    nylas: httpx.AsyncClient,
) -> None:
    given = (await sign_in(nylas, login_hint="ada@example.com", access_type="offline")).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    child = (await tokens(nylas, **refresh)).json()["access_token"]
    other = (await sign_in(nylas, login_hint="ada@example.com")).json()["access_token"]

    revoked = await nylas.post("/v3/connect/revoke", params={"token": given["access_token"]})

    assert (revoked.status_code, revoked.json()) == (200, {})
    for dead in (given["access_token"], child):
        assert (await own_grant(nylas, dead)).status_code == 401
    assert oauth_error(await tokens(nylas, **refresh)) == "invalid_grant"
    assert (await own_grant(nylas, other)).status_code == 200
    assert (await nylas.get(f"/v3/grants/{given['grant_id']}")).json()["data"]["grant_status"] == "valid"


async def test_a_token_is_revoked_once(nylas: httpx.AsyncClient) -> None:
    given = (await sign_in(nylas)).json()
    await nylas.post("/v3/connect/revoke", params={"token": given["access_token"]})

    again = await nylas.post("/v3/connect/revoke", params={"token": given["access_token"]})

    assert oauth_error(again) == "invalid_token"
    assert oauth_error(await nylas.post("/v3/connect/revoke")) == "invalid_request"


async def test_refresh_tokens_live_as_the_application_is_set(nylas: httpx.AsyncClient) -> None:
    rules = {"refresh_token_expiration_absolute": 10 * HOUR, "refresh_token_expiration_idle": 4 * HOUR}
    await nylas.patch("/v3/applications", json={"additional_settings": rules})
    used, idle = [(await sign_in(nylas, access_type="offline")).json()["refresh_token"] for _ in range(2)]

    async def refresh(token: str) -> httpx.Response:
        return await tokens(nylas, grant_type="refresh_token", refresh_token=token)

    for _ in range(3):
        await forward(nylas, 3 * HOUR)
        assert (await refresh(used)).status_code == 200
    assert oauth_error(await refresh(idle)) == "invalid_grant"
    await forward(nylas, 3 * HOUR)
    assert oauth_error(await refresh(used)) == "invalid_grant"


async def test_a_rotated_refresh_token_works_once_and_its_successor_after_it(nylas: httpx.AsyncClient) -> None:
    await nylas.patch("/v3/applications", json={"additional_settings": {"rotate_refresh_token": True}})
    first = (await sign_in(nylas, access_type="offline")).json()["refresh_token"]

    second = (await tokens(nylas, grant_type="refresh_token", refresh_token=first)).json()["refresh_token"]

    assert oauth_error(await tokens(nylas, grant_type="refresh_token", refresh_token=first)) == "invalid_grant"
    assert (await tokens(nylas, grant_type="refresh_token", refresh_token=second)).status_code == 200


@pytest.mark.parametrize(("platform", "status"), [("js", 200), ("desktop", 200), ("web", 400)])
async def test_only_a_public_client_may_leave_its_secret_out(
    nylas: httpx.AsyncClient, platform: str, status: int
) -> None:
    registered = {"url": CALLBACK, "platform": platform, "settings": {"origin": "app.example.com"}}
    await nylas.post("/v3/applications/redirect-uris", json=registered)
    code = brought_back(await visit(nylas, code_challenge="plain-text"))["code"]

    sent = {"grant_type": "authorization_code", "client_id": "app", "redirect_uri": CALLBACK}
    answer = await nylas.post("/v3/connect/token", json={**sent, "code": code, "code_verifier": "plain-text"})

    assert answer.status_code == status


async def test_a_verifier_nobody_asked_for_is_no_client_secret(nylas: httpx.AsyncClient) -> None:
    code = brought_back(await visit(nylas))["code"]

    sent = {"grant_type": "authorization_code", "client_id": "app", "redirect_uri": CALLBACK}
    answer = await nylas.post("/v3/connect/token", json={**sent, "code": code, "code_verifier": "anything"})

    assert answer.json()["error_description"] == "Missing required parameter: client_secret"


async def test_a_code_waits_ten_minutes(nylas: httpx.AsyncClient) -> None:
    code = brought_back(await visit(nylas))["code"]

    await forward(nylas, 600)

    assert oauth_error(await exchange(nylas, code)) == "invalid_grant"
