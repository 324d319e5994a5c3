"""Our client's steps through auth and grants."""

import pytest
from pydantic import SecretStr

from nylas_api import (
    AgentAccount,
    Blocked,
    BulkGrant,
    CodeRejected,
    Ews,
    GrantNotFound,
    ICloud,
    Imap,
    KeyRejected,
    ProviderSettings,
    RateLimited,
    RefreshToken,
    Rejected,
    Unauthorized,
    VirtualCalendar,
)
from tests.conformance.client_admin import TENANT
from tests.conformance.our_client import Visitor
from tests.conformance.tour import EMAIL, REDIRECT_URI, Steps

STEPS = Steps()

SETTINGS: dict[str, ProviderSettings] = {
    "google": RefreshToken(refresh_token=SecretStr("1//g")),
    "microsoft": RefreshToken(refresh_token=SecretStr("m")),
    "yahoo": RefreshToken(refresh_token=SecretStr("y")),
    "zoom": RefreshToken(refresh_token=SecretStr("z")),
    "imap": Imap(imap_username="i@example.com", imap_password=SecretStr("p"), imap_host="h", imap_port=993),
    "icloud": ICloud(username="c@icloud.com", password=SecretStr("p")),
    "ews": Ews(email="e@example.com", ews_username="e", ews_password=SecretStr("p"), ews_host="h", ews_port=443),
    "virtual-calendar": VirtualCalendar(email="rooms"),
    "nylas": AgentAccount(email="agent@example.com", app_password=SecretStr("p" * 18)),
}


@STEPS
async def hosted_oauth_makes_a_grant(v: Visitor) -> None:
    tokens = await v.sign_in(state="s-1", access_type="offline", prompt="detect", options=("x",), scope=("openid",))
    assert (tokens.email, tokens.provider, tokens.expires_in) == (EMAIL, "google", 3600)
    grant = (await v("grants.get", tokens.grant_id)).data
    assert (grant.id, grant.email, grant.state, grant.is_valid) == (tokens.grant_id, EMAIL, "s-1", True)


@STEPS
async def a_code_works_once(v: Visitor) -> None:
    back = await v.browse(await v("auth.url", redirect_uri=REDIRECT_URI, login_hint=EMAIL, provider="google"))
    await v("auth.exchange_code", code=back["code"], redirect_uri=REDIRECT_URI)
    with pytest.raises(CodeRejected):
        await v("auth.exchange_code", code=back["code"], redirect_uri=REDIRECT_URI)


@STEPS
async def tokens_are_refreshed_read_and_revoked(v: Visitor) -> None:
    first = await v.sign_in(access_type="offline")
    second = (await v("auth.refresh_access_token", refresh_token=first.refresh_token.get_secret_value())).data
    third = (await v("auth.grant_access_token", first.grant_id)).data
    assert second.grant_id == third.grant_id == first.grant_id
    assert (await v("auth.token_info", id_token=first.id_token.get_secret_value())).data.email == EMAIL
    token = third.access_token.get_secret_value()
    assert (await v("auth.token_info", access_token=token)).data.sub == first.grant_id
    assert (await v("grants.get_by_access_token", token)).data.id == first.grant_id
    await v("auth.revoke", token)
    with pytest.raises(Unauthorized):
        await v("grants.get_by_access_token", token)
    with pytest.raises(Rejected):
        await v("auth.token_info", access_token=token)


@STEPS
async def an_admin_consents_for_all_of_a_tenant(v: Visitor) -> None:
    credential = (await v("credentials.create", "microsoft", name="tenant", data=TENANT)).data
    options = {"redirect_uri": REDIRECT_URI, "credential_id": credential.id, "state": "s-3"}
    assert await v.browse(await v("auth.admin_consent_url", **options)) == {"admin_consent": "true", "state": "s-3"}
    bulk = BulkGrant(email_address="ms@example.com", credential_id=credential.id)
    grant = (await v("auth.custom", provider="microsoft", settings=bulk)).data
    assert (grant.email, grant.credential_id) == ("ms@example.com", credential.id)


@STEPS
async def custom_authentication_makes_a_grant_at_every_provider(v: Visitor) -> None:
    await v("connectors.create", "nylas")
    for provider, settings in SETTINGS.items():
        grant = (await v("auth.custom", provider=provider, settings=settings)).data
        assert (grant.provider, grant.is_valid) == (provider, True)


@STEPS
async def custom_authentication_repairs_a_grant(v: Visitor) -> None:
    first = (await v("auth.custom", provider="imap", settings=SETTINGS["imap"], state="s-4")).data
    await v.control(f"grants/{first.id}/expire", {})
    assert (await v("grants.get", first.id)).data.is_valid is False
    again = (await v("auth.custom", provider="imap", settings=SETTINGS["imap"])).data
    assert (again.id, again.is_valid, again.state) == (first.id, True, "s-4")
    with pytest.raises(Rejected):
        await v("auth.custom", provider="google", settings=RefreshToken(refresh_token=SecretStr("revoked")))


@STEPS
async def a_provider_is_detected(v: Visitor) -> None:
    found = (await v("auth.detect_provider", "nyla@gmail.com", all_provider_types=True)).data
    assert (found.email_address, found.detected, found.provider) == ("nyla@gmail.com", True, "google")
    assert (await v("auth.detect_provider", "nyla@yahoo.com")).data.provider == "yahoo"


@STEPS
async def grants_are_listed_by_filter_and_page(v: Visitor) -> None:
    ids = (await v.control("seed", {"grants": 5, "provider": "microsoft"}))["grants"]
    await v.control("seed", {"grants": 2, "provider": "google", "status": "invalid"})
    pages = await v("grants.each_page", limit=3, provider="microsoft", sort_by="created_at", order_by="asc")
    assert [grant.id for page in pages for grant in page.data] == ids
    one = (await v("grants.get", ids[0], expose_aliases=True)).data
    same = await v("grants.list", email=one.email, since=one.created_at, before=one.created_at)
    assert [grant.id for grant in same.data] == [one.id]
    for nobody in ({"ip": "203.0.113.9"}, {"workspace_id": "w"}, {"account_id": "a"}, {"account_ids": ["a", "b"]}):
        assert (await v("grants.list", **nobody)).data == ()
    assert len((await v("grants.list", limit=1, offset=1, grant_status="invalid")).data) == 1


@STEPS
async def a_grant_is_changed_and_deleted(v: Visitor) -> None:
    grant_id = (await v.sign_in()).grant_id
    settings = RefreshToken(refresh_token=SecretStr("rt-2"))
    assert (await v("grants.update", grant_id, settings=settings, scope=["openid"])).data.scope == ("openid",)
    assert (await v("grants.get", f"email:{EMAIL}")).data.id == grant_id
    await v("grants.delete", grant_id)
    with pytest.raises(GrantNotFound):
        await v("grants.get", grant_id)
    with pytest.raises(GrantNotFound):
        await v("grants.delete", grant_id)


@STEPS
async def what_is_blocked_or_too_much_is_refused(v: Visitor) -> None:
    grant_id = (await v.sign_in()).grant_id
    await v.control("faults", {"path": "/v3/grants/*", "status": 423, "count": 1})
    with pytest.raises(Blocked):
        await v("grants.get", grant_id)
    await v.control("faults", {"path": "/v3/grants", "status": 429, "count": 1})
    with pytest.raises(RateLimited):
        await v("grants.list")


@STEPS
async def a_wrong_api_key_opens_nothing(v: Visitor) -> None:
    wrong = Visitor(v.url, v.ours, v.http, api_key="wrong")
    for method in ("grants.list", "connectors.list", "applications.get", "webhooks.list"):
        with pytest.raises(KeyRejected):
            await wrong(method)
