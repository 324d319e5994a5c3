"""Hosted OAuth at the simulator: consent, codes, PKCE, one grant per address."""

import base64
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from simulator import Running, start

CALLBACK = "https://app.example.com/oauth/callback"
VERIFIER = "nylas"
CHALLENGE = "ZTk2YmY2Njg2YTNjMzUxMGU5ZTkyN2RiNzA2OWNiMWNiYTliOTliMDIyZjQ5NDgzYTZjZTMyNzA4MDllNjhhMg"


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    running = await start()
    yield running
    await running.stop()


@pytest.fixture
async def http(sim: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sim.url, headers={"Authorization": "Bearer key"}) as client:
        yield client


async def visit(http: httpx.AsyncClient, **params: str) -> httpx.Response:
    """Go to the login page as a browser does."""
    wanted = {"client_id": "app", "redirect_uri": CALLBACK, "response_type": "code", **params}
    return await http.get("/v3/connect/auth", params=wanted)


def brought_back(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


async def sign_in(http: httpx.AsyncClient, **params: str) -> httpx.Response:
    """Go all the way, and return the answer of the exchange."""
    return await exchange(http, brought_back(await visit(http, **params))["code"])


async def exchange(http: httpx.AsyncClient, code: str, **more: str) -> httpx.Response:
    body = {"grant_type": "authorization_code", "client_id": "app", "client_secret": "key", "code": code}
    return await http.post("/v3/connect/token", json={**body, "redirect_uri": CALLBACK, **more})


async def test_a_code_comes_back_with_the_state_unchanged(http: httpx.AsyncClient) -> None:
    answer = await visit(http, state="tenant 42&ünï", login_hint="ada@example.com")

    back = brought_back(answer)
    assert answer.headers["location"].startswith(CALLBACK + "?")
    assert back["state"] == "tenant 42&ünï"
    assert back["code"]


async def test_a_code_works_once(http: httpx.AsyncClient) -> None:
    code = brought_back(await visit(http))["code"]

    first, second = await exchange(http, code), await exchange(http, code)

    assert first.status_code == 200
    assert second.status_code == 400
    assert second.json() == {
        "error": "invalid_grant",
        "error_code": 400,
        "error_description": "The code is invalid, expired or was already used",
        "error_uri": "https://developer.nylas.com/docs/api/errors/400-response/",
    }
    assert (await http.get("/_sim/calls")).json()["codes_exchanged"] == {code: 2}


async def test_the_token_answer_is_flat_and_knows_the_grant(http: httpx.AsyncClient) -> None:
    answer = (await sign_in(http, login_hint="ada.byron@example.com", provider="microsoft")).json()

    assert answer.keys() == {
        *("access_token", "expires_in", "id_token", "scope", "token_type", "grant_id", "email", "provider")
    }
    claims = json.loads(base64.urlsafe_b64decode(answer["id_token"].split(".")[1] + "=="))
    assert claims["email"] == answer["email"] == "ada.byron@example.com"
    grant = (await http.get(f"/v3/grants/{answer['grant_id']}")).json()["data"]
    assert (grant["provider"], grant["name"], grant["grant_status"]) == ("microsoft", "Ada Byron", "valid")


async def test_only_offline_access_gets_a_refresh_token_and_it_works(http: httpx.AsyncClient) -> None:
    answer = (await sign_in(http, access_type="offline")).json()

    body = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "key"}
    again = await http.post("/v3/connect/token", data={**body, "refresh_token": answer["refresh_token"]})
    wrong = await http.post("/v3/connect/token", data={**body, "refresh_token": "other"})

    assert again.json()["grant_id"] == answer["grant_id"]
    assert wrong.json()["error"] == "invalid_token"


async def test_the_challenge_is_base64_of_the_hex_digest(http: httpx.AsyncClient) -> None:
    code = brought_back(await visit(http, code_challenge=CHALLENGE, code_challenge_method="s256"))["code"]

    body = {"grant_type": "authorization_code", "client_id": "app", "code": code, "redirect_uri": CALLBACK}
    answer = await http.post("/v3/connect/token", data={**body, "code_verifier": VERIFIER})

    assert answer.status_code == 200  # as a form, and without a client secret


@pytest.mark.parametrize("verifier", [{}, {"code_verifier": "other"}])
async def test_a_wrong_verifier_is_refused_and_burns_the_code(
    http: httpx.AsyncClient, verifier: dict[str, str]
) -> None:
    code = brought_back(await visit(http, code_challenge=CHALLENGE, code_challenge_method="S256"))["code"]

    wrong = await exchange(http, code, **verifier)
    right = await exchange(http, code, code_verifier=VERIFIER)

    assert (wrong.json()["error"], wrong.json()["error_code"]) == ("invalid_grant", 45004)
    assert right.json()["error_description"].startswith("The code is invalid")


async def test_a_wrong_redirect_uri_is_refused_and_burns_the_code(http: httpx.AsyncClient) -> None:
    code = brought_back(await visit(http))["code"]

    wrong = await exchange(http, code, redirect_uri=CALLBACK + "/")

    assert wrong.json()["error"] == "invalid_grant"
    assert (await exchange(http, code)).status_code == 400


async def test_an_address_has_one_grant_and_keeps_its_first_state(http: httpx.AsyncClient) -> None:
    first = (await sign_in(http, login_hint="ada@example.com", state="one")).json()
    second = (await sign_in(http, login_hint="Ada@Example.com", state="two")).json()

    assert first["grant_id"] == second["grant_id"]
    grants = (await http.get("/v3/grants")).json()["data"]
    assert [(grant["id"], grant["state"]) for grant in grants] == [(first["grant_id"], "one")]


async def test_signing_in_again_heals_an_expired_grant(http: httpx.AsyncClient) -> None:
    seeded = await http.post("/_sim/seed", json={"grants": 1, "status": "invalid"})
    before = (await http.get(f"/v3/grants/{seeded.json()['grants'][0]}")).json()["data"]

    await sign_in(http, login_hint=before["email"])

    after = (await http.get(f"/v3/grants/{before['id']}")).json()["data"]
    assert after["grant_status"] == "valid"
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]


async def test_guests_come_in_the_same_order_after_each_reset(http: httpx.AsyncClient) -> None:
    emails = [(await sign_in(http)).json()["email"] for _ in range(2)]
    await http.post("/_sim/reset")

    assert emails == ["guest0001@example.com", "guest0002@example.com"]
    assert (await sign_in(http)).json()["email"] == emails[0]


async def test_consent_can_be_denied(http: httpx.AsyncClient) -> None:
    await http.post("/_sim/consent", json={"mode": "deny"})

    back = brought_back(await visit(http, state="s"))

    assert back == {
        "error": "access_denied",
        "error_description": "The user denied the request",
        "state": "s",
    }


async def test_the_consent_page_asks_and_lets_pick_another_account(http: httpx.AsyncClient) -> None:
    await http.post("/_sim/consent", json={"mode": "page"})
    page = await visit(http, login_hint="<ada>@example.com")
    action = page.text.split('action="')[1].split('"')[0]

    chosen = await http.post(action, data={"answer": "allow", "email": "bob@example.com"})
    once_more = await http.post(action, data={"answer": "allow"})

    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;ada&gt;@example.com" in page.text
    assert not re.search(r"src=|href=|url\(|<script", page.text)
    assert (await exchange(http, brought_back(chosen)["code"])).json()["email"] == "bob@example.com"
    assert once_more.json()["error"]["type"] == "grant.login_id_invalid"


@pytest.mark.parametrize("missing", ["client_id", "redirect_uri", "response_type"])
async def test_a_login_that_lacks_something_is_refused_without_a_redirect(
    http: httpx.AsyncClient, missing: str
) -> None:
    answer = await visit(http, **{missing: ""})

    assert answer.status_code == 400
    assert missing in answer.json()["error"]["message"]


async def test_once_callbacks_are_registered_only_those_are_allowed(http: httpx.AsyncClient) -> None:
    await http.post("/_sim/callback-uris", json={"urls": [CALLBACK]})

    assert (await visit(http)).status_code == 302
    other = await visit(http, redirect_uri=CALLBACK + "/")
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
