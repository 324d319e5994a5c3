"""Hosted OAuth at the simulator: consent, codes, PKCE, one grant per address."""

import base64
import json
import re

import httpx
import pytest

from simulator import start
from tests.hosted import CALLBACK, brought_back, exchange, sign_in, visit

VERIFIER = "nylas"
CHALLENGE = "ZTk2YmY2Njg2YTNjMzUxMGU5ZTkyN2RiNzA2OWNiMWNiYTliOTliMDIyZjQ5NDgzYTZjZTMyNzA4MDllNjhhMg"


async def test_a_code_comes_back_with_the_state_unchanged(nylas: httpx.AsyncClient) -> None:
    answer = await visit(nylas, state="tenant 42&ünï", login_hint="ada@example.com")

    back = brought_back(answer)
    assert answer.headers["location"].startswith(CALLBACK + "?")
    assert back["state"] == "tenant 42&ünï"
    assert back["code"]


async def test_a_code_works_once(nylas: httpx.AsyncClient) -> None:
    code = brought_back(await visit(nylas))["code"]

    first, second = await exchange(nylas, code), await exchange(nylas, code)

    assert first.status_code == 200
    assert second.status_code == 400
    assert second.json() == {
        "error": "invalid_grant",
        "error_code": 400,
        "error_description": "The code is invalid, expired or was already used",
        "error_uri": "https://developer.nylas.com/docs/api/errors/400-response/",
    }
    assert (await nylas.get("/_sim/calls")).json()["codes_exchanged"] == {code: 2}


async def test_the_token_answer_is_flat_and_knows_the_grant(nylas: httpx.AsyncClient) -> None:
    answer = (await sign_in(nylas, login_hint="ada.byron@example.com", provider="microsoft")).json()

    assert answer.keys() == {
        *("access_token", "expires_in", "id_token", "scope", "token_type", "grant_id", "email", "provider")
    }
    claims = json.loads(base64.urlsafe_b64decode(answer["id_token"].split(".")[1] + "=="))
    assert claims["email"] == answer["email"] == "ada.byron@example.com"
    grant = (await nylas.get(f"/v3/grants/{answer['grant_id']}")).json()["data"]
    assert (grant["provider"], grant["name"], grant["grant_status"]) == ("microsoft", "Ada Byron", "valid")


async def test_only_offline_access_gets_a_refresh_token_and_it_works(nylas: httpx.AsyncClient) -> None:
    answer = (await sign_in(nylas, access_type="offline")).json()

    body = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "key"}
    again = await nylas.post("/v3/connect/token", data={**body, "refresh_token": answer["refresh_token"]})
    wrong = await nylas.post("/v3/connect/token", data={**body, "refresh_token": "other"})

    assert again.json()["grant_id"] == answer["grant_id"]
    assert wrong.json()["error"] == "invalid_grant"


async def test_the_challenge_is_base64_of_the_hex_digest(nylas: httpx.AsyncClient) -> None:
    code = brought_back(await visit(nylas, code_challenge=CHALLENGE, code_challenge_method="s256"))["code"]

    body = {"grant_type": "authorization_code", "client_id": "app", "code": code, "redirect_uri": CALLBACK}
    answer = await nylas.post("/v3/connect/token", data={**body, "code_verifier": VERIFIER})

    assert answer.status_code == 200  # as a form, and without a client secret


@pytest.mark.parametrize("verifier", [{}, {"code_verifier": "other"}])
async def test_a_wrong_verifier_is_refused_and_burns_the_code(
    nylas: httpx.AsyncClient, verifier: dict[str, str]
) -> None:
    code = brought_back(await visit(nylas, code_challenge=CHALLENGE, code_challenge_method="S256"))["code"]

    wrong = await exchange(nylas, code, **verifier)
    right = await exchange(nylas, code, code_verifier=VERIFIER)

    assert (wrong.json()["error"], wrong.json()["error_code"]) == ("invalid_grant", 45004)
    assert right.json()["error_description"].startswith("The code is invalid")


async def test_a_wrong_redirect_uri_is_refused_and_burns_the_code(nylas: httpx.AsyncClient) -> None:
    code = brought_back(await visit(nylas))["code"]

    wrong = await exchange(nylas, code, redirect_uri=CALLBACK + "/")

    assert wrong.json()["error"] == "invalid_grant"
    assert (await exchange(nylas, code)).status_code == 400


async def test_an_address_has_one_grant_and_keeps_its_first_state(nylas: httpx.AsyncClient) -> None:
    first = (await sign_in(nylas, login_hint="ada@example.com", state="one")).json()
    second = (await sign_in(nylas, login_hint="Ada@Example.com", state="two")).json()

    assert first["grant_id"] == second["grant_id"]
    grants = (await nylas.get("/v3/grants")).json()["data"]
    assert [(grant["id"], grant["state"]) for grant in grants] == [(first["grant_id"], "one")]


async def test_signing_in_again_heals_an_expired_grant(nylas: httpx.AsyncClient) -> None:
    seeded = await nylas.post("/_sim/seed", json={"grants": 1, "status": "invalid"})
    before = (await nylas.get(f"/v3/grants/{seeded.json()['grants'][0]}")).json()["data"]

    await sign_in(nylas, login_hint=before["email"])

    after = (await nylas.get(f"/v3/grants/{before['id']}")).json()["data"]
    assert after["grant_status"] == "valid"
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]


async def test_guests_come_in_the_same_order_after_each_reset(nylas: httpx.AsyncClient) -> None:
    emails = [(await sign_in(nylas)).json()["email"] for _ in range(2)]
    await nylas.post("/_sim/reset")

    assert emails == ["guest0001@example.com", "guest0002@example.com"]
    assert (await sign_in(nylas)).json()["email"] == emails[0]


async def test_consent_can_be_denied(nylas: httpx.AsyncClient) -> None:
    await nylas.post("/_sim/consent", json={"mode": "deny"})

    back = brought_back(await visit(nylas, state="s"))

    assert back == {
        "error": "access_denied",
        "error_description": "The user denied the request",
        "state": "s",
    }


async def test_the_consent_page_asks_and_lets_pick_another_account(nylas: httpx.AsyncClient) -> None:
    await nylas.post("/_sim/consent", json={"mode": "page"})
    page = await visit(nylas, login_hint="<ada>@example.com")
    action = page.text.split('action="')[1].split('"')[0]

    chosen = await nylas.post(action, data={"answer": "allow", "email": "bob@example.com"})
    once_more = await nylas.post(action, data={"answer": "allow"})

    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;ada&gt;@example.com" in page.text
    assert not re.search(r"src=|href=|url\(|<script", page.text)
    assert (await exchange(nylas, brought_back(chosen)["code"])).json()["email"] == "bob@example.com"
    assert once_more.json()["error"]["type"] == "grant.login_id_invalid"


@pytest.mark.parametrize("missing", ["client_id", "redirect_uri", "response_type"])
async def test_a_login_that_lacks_something_is_refused_without_a_redirect(
    nylas: httpx.AsyncClient, missing: str
) -> None:
    answer = await visit(nylas, **{missing: ""})

    assert answer.status_code == 400
    assert missing in answer.json()["error"]["message"]


async def test_once_callbacks_are_registered_only_those_are_allowed(nylas: httpx.AsyncClient) -> None:
    await nylas.post("/_sim/callback-uris", json={"urls": [CALLBACK]})

    assert (await visit(nylas)).status_code == 302
    other = await visit(nylas, redirect_uri=CALLBACK + "/")
    assert other.json()["error"]["type"] == "grant.callback_uri_not_allowed"


async def test_a_named_client_and_key_are_the_only_ones_taken() -> None:
    sim = await start(api_key="right", client_id="app")
    try:
        async with httpx.AsyncClient(base_url=sim.url) as http:
            assert (await visit(http, client_id="other")).status_code == 400
            code = brought_back(await visit(http))["code"]
            assert (await exchange(http, code)).json()["error"] == "invalid_client"
            code = brought_back(await visit(http))["code"]
            assert (await exchange(http, code, client_secret="right")).status_code == 200
    finally:
        await sim.stop()
