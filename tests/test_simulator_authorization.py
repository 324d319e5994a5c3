"""The authorization request at the simulator: each parameter, and what can go wrong at the consent."""

import httpx
import pytest

from tests.hosted import brought_back, exchange, sign_in, visit

SCOPE = "https://www.googleapis.com/auth/calendar"


async def asked(nylas: httpx.AsyncClient, **params: str) -> tuple[str, httpx.Response]:
    """Visit while users see the consent page; return where its form goes, and the page."""
    await nylas.post("/_sim/consent", json={"mode": "page"})
    page = await visit(nylas, **params)
    assert page.status_code == 200, page.text
    return page.text.split('action="')[1].split('"')[0], page


async def grant_of(nylas: httpx.AsyncClient, **params: str) -> dict[str, object]:
    """Sign in, and return the grant."""
    grant_id = (await sign_in(nylas, **params)).json()["grant_id"]
    grant: dict[str, object] = (await nylas.get(f"/v3/grants/{grant_id}")).json()["data"]
    return grant


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"response_type": "token"}, "response_type"),
        ({"provider": "pigeon"}, "pigeon"),
        ({"provider": "google,pigeon"}, "pigeon"),
        ({"provider": "virtual-calendar"}, "virtual-calendar"),
        ({"prompt": "consent"}, "select_provider"),
        ({"access_type": "sometimes"}, "offline"),
        ({"code_challenge_method": "md5"}, "s256"),
        ({"state": "x" * 257}, "state"),
        ({"credential_id": "nobody"}, "credential_id"),
        ({"response_type": "adminconsent", "provider": "google"}, "microsoft"),
        ({"response_type": "adminconsent", "provider": "microsoft"}, "credential_id"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_without_a_redirect(
    nylas: httpx.AsyncClient, params: dict[str, str], message: str
) -> None:
    answer = await visit(nylas, **params)

    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


async def test_admin_consent_needs_a_provider(nylas: httpx.AsyncClient) -> None:
    answer = await visit(nylas, response_type="adminconsent", credential_id="x")

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "grant.provider_required")


@pytest.mark.parametrize(
    "params",
    [
        {"prompt": "detect,select_provider"},
        {"options": "exclude_google_granted_scopes"},
        {"include_grant_scopes": "true"},
        {"access_type": "online"},
        {"state": "x" * 256},
        {"provider": "imap,google"},
    ],
)
async def test_what_the_sdks_send_is_taken(nylas: httpx.AsyncClient, params: dict[str, str]) -> None:
    assert brought_back(await visit(nylas, **params))["code"]


async def test_scopes_are_the_named_ones_or_the_connectors(nylas: httpx.AsyncClient) -> None:
    await nylas.patch("/v3/connectors/google", json={"scope": ["openid"]})

    by_connector = await grant_of(nylas, provider="google", login_hint="ada@example.com")
    named = await grant_of(nylas, provider="google", login_hint="bob@example.com", scope=f"openid {SCOPE}")

    assert (by_connector["scope"], named["scope"]) == (["openid"], ["openid", SCOPE])


async def test_a_new_sign_in_takes_the_connectors_new_scopes_or_adds_the_grants(nylas: httpx.AsyncClient) -> None:
    hint = {"provider": "google", "login_hint": "ada@example.com"}
    await grant_of(nylas, **hint, scope=f"openid {SCOPE}")
    await nylas.patch("/v3/connectors/google", json={"scope": ["email"]})

    together = await grant_of(nylas, **hint, include_grant_scopes="true")
    alone = await grant_of(nylas, **hint)

    assert (together["scope"], alone["scope"]) == (["email", "openid", SCOPE], ["email"])


async def test_an_imap_login_finds_the_servers_out(nylas: httpx.AsyncClient) -> None:
    reading = await grant_of(nylas, provider="imap", login_hint="ada@example.com")
    sending = await grant_of(nylas, provider="imap", login_hint="bob@example.com", options="smtp_required")

    assert reading["settings"] == {
        "imap_username": "ada@example.com",
        "imap_host": "imap.example.com",
        "imap_port": 993,
    }
    assert "smtp_host" in str(sending["settings"])


async def test_without_a_provider_the_page_lets_the_user_choose_one(nylas: httpx.AsyncClient) -> None:
    action, page = await asked(nylas, provider="yahoo,microsoft")

    other = await nylas.post(action, data={"answer": "allow", "provider": "google"})
    action, _ = await asked(nylas, provider="yahoo,microsoft")
    chosen = await nylas.post(action, data={"answer": "allow", "provider": "microsoft"})

    assert "<option selected>yahoo</option><option>microsoft</option>" in page.text
    assert other.status_code == 400
    given = (await exchange(nylas, brought_back(chosen)["code"])).json()
    assert (given["provider"], "Mail.Send" in given["scope"]) == ("microsoft", True)


async def test_a_known_user_is_led_to_the_provider_of_their_grant(nylas: httpx.AsyncClient) -> None:
    await sign_in(nylas, provider="yahoo", login_hint="ada@example.com")

    assert (await sign_in(nylas, login_hint="Ada@example.com")).json()["provider"] == "yahoo"


async def test_another_account_than_that_of_the_grant_ends_a_re_authentication(nylas: httpx.AsyncClient) -> None:
    before = await grant_of(nylas, login_hint="ada@example.com")
    action, _ = await asked(nylas, login_hint="ada@example.com", state="s")

    back = brought_back(await nylas.post(action, data={"answer": "allow", "email": "bob@example.com"}))

    assert back == {
        "error": "invalid_request",
        "error_code": "400",
        "error_description": "Email addresses did not match during re-authentication.",
        "error_uri": "https://developer.nylas.com/docs/api/errors/",
        "state": "s",
    }
    assert [grant["id"] for grant in (await nylas.get("/v3/grants")).json()["data"]] == [before["id"]]


async def test_a_scope_that_the_user_unticked_ends_the_login(nylas: httpx.AsyncClient) -> None:
    action, _ = await asked(nylas, scope=f"openid {SCOPE}")

    back = brought_back(await nylas.post(action, data={"answer": "allow", "scope": "openid"}))

    assert back["error"] == "invalid_scope"
    assert back["error_description"].startswith("Some requested scopes were not included")


async def test_an_administrator_can_refuse(nylas: httpx.AsyncClient) -> None:
    consent = {"name": "tenant", "credential_type": "adminconsent", "credential_data": {"tenant": "example.com"}}
    made = (await nylas.post("/v3/connectors/microsoft/creds", json=consent)).json()["data"]["id"]
    await nylas.post("/_sim/consent", json={"mode": "deny"})

    wanted = {"response_type": "adminconsent", "provider": "microsoft", "credential_id": made}
    assert brought_back(await visit(nylas, **wanted))["error"] == "access_denied"
