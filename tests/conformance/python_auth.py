"""The Python SDK's steps through auth and grants."""

import pytest
from nylas.models.errors import NylasApiError, NylasOAuthError, NylasSdkTimeoutError

from tests.conformance.python_sdk import Visitor, exchange, hosted
from tests.conformance.tour import ADMIN_CONSENT, API_KEY, CLIENT_ID, EMAIL, FAILED_LOGIN, REDIRECT_URI, Steps

STEPS = Steps()


@STEPS
def hosted_oauth_makes_a_grant(v: Visitor) -> None:
    address = v("auth.url_for_oauth2", hosted(state="s-1", access_type="offline", prompt="select_provider"))
    back = v.browse(address)
    assert back["state"] == "s-1"
    tokens = v("auth.exchange_code_for_token", exchange(back["code"]))
    assert (tokens.email, tokens.provider, tokens.token_type, tokens.expires_in) == (EMAIL, "google", "Bearer", 3600)
    assert tokens.access_token
    assert tokens.refresh_token
    assert tokens.id_token.count(".") == 2
    assert "userinfo.email" in tokens.scope
    grant = v("grants.find", tokens.grant_id).data
    assert (grant.id, grant.email, grant.state, grant.grant_status) == (tokens.grant_id, EMAIL, "s-1", "valid")


@STEPS
def hosted_oauth_takes_what_the_document_does_not_know(v: Visitor) -> None:
    config = hosted(provider="imap", smtp_required=True, include_grant_scopes=True)
    assert v.browse(v("auth.url_for_oauth2", config))["code"]


@STEPS
def an_online_sign_in_brings_no_refresh_token(v: Visitor) -> None:
    assert v.sign_in().refresh_token is None


@STEPS
def pkce_is_held_to(v: Visitor) -> None:
    ours = v("auth.url_for_oauth2_pkce", hosted())
    code = v.browse(ours.url)["code"]
    assert v("auth.exchange_code_for_token", exchange(code, code_verifier=ours.secret)).email == EMAIL
    other = v("auth.url_for_oauth2_pkce", hosted())
    code = v.browse(other.url)["code"]
    with pytest.raises(NylasOAuthError) as refused:
        v("auth.exchange_code_for_token", exchange(code, code_verifier=ours.secret))
    assert (refused.value.status_code, refused.value.error, refused.value.error_code) == (400, "invalid_grant", 45004)


@STEPS
def a_code_works_once(v: Visitor) -> None:
    code = v.browse(v("auth.url_for_oauth2", hosted()))["code"]
    v("auth.exchange_code_for_token", exchange(code))
    with pytest.raises(NylasOAuthError) as refused:
        v("auth.exchange_code_for_token", exchange(code))
    error = refused.value
    assert (error.status_code, error.error) == (400, "invalid_grant")
    assert isinstance(error.error_code, int)
    assert error.error_description == str(error) != ""
    assert error.error_uri.startswith("https://")
    assert error.headers["x-request-id"]


@STEPS
def a_wrong_secret_gets_no_tokens(v: Visitor) -> None:
    code = v.browse(v("auth.url_for_oauth2", hosted()))["code"]
    with pytest.raises(NylasOAuthError) as refused:
        v("auth.exchange_code_for_token", exchange(code, client_secret="wrong"))
    assert refused.value.error == "invalid_client"


@STEPS
def a_user_who_declines_comes_back_with_an_error(v: Visitor) -> None:
    v.control("consent", {"mode": "deny"})
    back = v.browse(v("auth.url_for_oauth2", hosted(state="s-2")))
    assert (back["error"], back["state"]) == ("access_denied", "s-2")
    assert back["error_description"]


@STEPS
def a_refresh_token_gives_a_new_access_token(v: Visitor) -> None:
    first = v.sign_in(access_type="offline")
    known = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI}
    second = v("auth.refresh_access_token", {**known, "refresh_token": first.refresh_token})
    assert second.grant_id == first.grant_id
    assert second.access_token != first.access_token
    with pytest.raises(NylasOAuthError) as refused:
        v("auth.refresh_access_token", {**known, "refresh_token": "unknown"})
    assert (refused.value.status_code, refused.value.error) == (400, "invalid_grant")


@STEPS
def tokens_tell_whose_they_are(v: Visitor) -> None:
    tokens = v.sign_in()
    for info in (
        v("auth.id_token_info", tokens.id_token).data,
        v("auth.validate_access_token", tokens.access_token).data,
    ):
        assert info.iss == "https://nylas.com"
        assert (info.email, info.sub, info.exp - info.iat) == (EMAIL, tokens.grant_id, 3600)
        assert info.aud


@STEPS
def an_unknown_token_tells_nothing(v: Visitor) -> None:
    for method in ("auth.id_token_info", "auth.validate_access_token"):
        with pytest.raises(NylasOAuthError) as refused:
            v(method, "unknown")
        assert (refused.value.status_code, refused.value.error, refused.value.error_code) == (400, "invalid_token", 400)


@STEPS
def an_access_token_opens_its_own_grant_until_it_is_revoked(v: Visitor) -> None:
    tokens = v.sign_in()
    with_token = {"api_key": tokens.access_token}
    assert v("grants.find", "me", overrides=with_token).data.id == tokens.grant_id
    assert v("auth.revoke", tokens.access_token) is True
    with pytest.raises(NylasApiError) as refused:
        v("grants.find", "me", overrides=with_token)
    assert refused.value.status_code == 401
    assert v("grants.find", tokens.grant_id).data.grant_status == "valid"


@STEPS
def an_unknown_token_can_not_be_revoked(v: Visitor) -> None:
    with pytest.raises(NylasOAuthError) as refused:
        v("auth.revoke", "unknown")
    assert (refused.value.status_code, refused.value.error) == (400, "invalid_token")


@STEPS
def an_admin_consents_for_all_of_a_tenant(v: Visitor) -> None:
    consent = {"name": "tenant", "credential_type": "adminconsent", "credential_data": ADMIN_CONSENT}
    credential = v("connectors.credentials.create", "microsoft", consent).data
    config = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "credential_id": credential.id, "state": "s-3"}
    assert v.browse(v("auth.url_for_admin_consent", config)) == {"admin_consent": "true", "state": "s-3"}
    settings = {"email_address": "ms@example.com", "credential_id": credential.id}
    grant = v("auth.custom_authentication", {"provider": "microsoft", "settings": settings}).data
    assert (grant.provider, grant.email, grant.credential_id) == ("microsoft", "ms@example.com", credential.id)


@STEPS
def custom_authentication_makes_and_repairs_a_grant(v: Visitor) -> None:
    settings = {"imap_username": EMAIL, "imap_password": "p", "imap_host": "imap.example.com", "imap_port": 993}
    first = v("auth.custom_authentication", {"provider": "imap", "settings": settings, "state": "s-4"})
    grant = first.data
    assert (grant.provider, grant.email, grant.grant_status, grant.state) == ("imap", EMAIL, "valid", "s-4")
    assert "imap_password" not in grant.settings
    assert first.request_id == first.headers["x-request-id"]
    v.control(f"grants/{grant.id}/expire", {})
    assert v("grants.find", grant.id).data.grant_status == "invalid"
    again = v("auth.custom_authentication", {"provider": "imap", "settings": settings}).data
    assert (again.id, again.created_at, again.grant_status) == (grant.id, grant.created_at, "valid")


@STEPS
def custom_authentication_says_what_the_provider_said(v: Visitor) -> None:
    with pytest.raises(NylasApiError) as refused:
        v("auth.custom_authentication", {"provider": "google", "settings": {"refresh_token": "revoked"}})
    error = refused.value
    assert (error.status_code, error.type, error.provider_error) == (400, "bad_request", FAILED_LOGIN)
    assert error.request_id == error.headers["x-request-id"]


@STEPS
def a_provider_is_detected(v: Visitor) -> None:
    found = v("auth.detect_provider", {"email": "nyla@gmail.com", "all_provider_types": True}).data
    assert (found.email_address, found.detected, found.provider) == ("nyla@gmail.com", True, "google")
    assert v("auth.detect_provider", {"email": "nyla@yahoo.com"}).data.provider == "yahoo"


@STEPS
def grants_are_listed_by_filter_and_page(v: Visitor) -> None:
    ids = v.control("seed", {"grants": 5, "provider": "microsoft"})["grants"]
    v.control("seed", {"grants": 2, "provider": "google", "status": "invalid"})
    first = v("grants.list", {"provider": "microsoft", "limit": 3, "sort_by": "created_at", "order_by": "asc"})
    rest = v(
        "grants.list", {"provider": "microsoft", "limit": 3, "offset": 3, "sortBy": "created_at", "orderBy": "asc"}
    )
    assert [grant.id for grant in (*first.data, *rest.data)] == ids
    assert first.request_id
    assert first.next_cursor is None
    assert len(v("grants.list", {"grantStatus": "invalid"}).data) == 2
    one = v("grants.find", ids[0]).data
    assert [grant.id for grant in v("grants.list", {"email": one.email}).data] == [one.id]
    assert v("grants.list", {"before": one.created_at - 10**6}).data == []
    assert v("grants.list", {"ip": "203.0.113.9", "since": one.created_at}).data == []
    assert len(v("grants.list").data) == 7


@STEPS
def a_grant_is_changed_and_deleted(v: Visitor) -> None:
    grant = v("grants.find", v.sign_in().grant_id).data
    changed = v("grants.update", grant.id, {"settings": {"refresh_token": "rt-2"}, "scope": ["openid"]}).data
    assert (changed.id, changed.scope) == (grant.id, ["openid"])
    assert v("grants.destroy", grant.id).request_id
    for method, more in (("grants.find", ()), ("grants.update", ({"scope": []},)), ("grants.destroy", ())):
        with pytest.raises(NylasApiError) as refused:
            v(method, grant.id, *more)
        assert (refused.value.status_code, refused.value.type) == (404, "grant.not_found")


@STEPS
def a_wrong_api_key_opens_nothing(v: Visitor) -> None:
    for method in ("grants.list", "connectors.list", "applications.info", "applications.redirect_uris.list"):
        with pytest.raises(NylasApiError) as refused:
            v(method, overrides={"api_key": "wrong"})
        assert (refused.value.status_code, refused.value.type) == (401, "api.authentication_error")
        assert refused.value.request_id


@STEPS
def too_many_calls_are_refused(v: Visitor) -> None:
    v.control("faults", {"path": "/v3/grants", "status": 429, "count": 1})
    with pytest.raises(NylasApiError) as refused:
        v("grants.list")
    assert (refused.value.status_code, refused.value.type) == (429, "nylas_rate_limit_exceeded")
    assert refused.value.provider_error is None


@STEPS
def a_slow_answer_times_out(v: Visitor) -> None:
    v.control("faults", {"path": "/v3/grants", "delay_ms": 400, "count": 1})
    with pytest.raises(NylasSdkTimeoutError) as late:
        v("grants.list", overrides={"timeout": 0.1, "api_key": API_KEY})
    assert late.value.timeout == 0.1
    assert late.value.url.endswith("/v3/grants")
