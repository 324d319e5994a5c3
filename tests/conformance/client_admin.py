"""Our client's steps through connectors, credentials, the application, its redirect URIs and webhooks."""

import pytest
from pydantic import SecretStr

from nylas_api import (
    GRANT_TRIGGERS,
    AdditionalSettings,
    AdminConsent,
    ApplicationChange,
    Branding,
    ConnectorOverride,
    ConnectorSettings,
    GoogleApp,
    HostedAuthentication,
    MicrosoftApp,
    NewRedirectUri,
    NewWebhook,
    NoApp,
    NotFound,
    OAuthApp,
    PlatformSettings,
    Rejected,
    ServiceAccount,
    WebhookChange,
)
from tests.conformance.our_client import Visitor
from tests.conformance.tour import CLIENT_ID, EMAIL, REDIRECT_URI, SERVICE_ACCOUNT, Steps

STEPS = Steps()

SECRET = SecretStr("app-secret")
TENANT = AdminConsent(client_id="azure-client", client_secret=SECRET, tenant="tenant-1")
CONNECTORS: dict[str, ConnectorSettings | None] = {
    "google": GoogleApp(client_id="g", client_secret=SECRET, topic_name="projects/p/topics/nylas"),
    "microsoft": MicrosoftApp(client_id="m", client_secret=SECRET, tenant="common"),
    "yahoo": OAuthApp(client_id="y", client_secret=SECRET),
    "zoom": OAuthApp(client_id="z", client_secret=SECRET),
    "ews": NoApp(),
    "imap": None,
    "icloud": None,
    "virtual-calendar": None,
    "nylas": None,
}


@STEPS
async def connectors_are_made_read_changed_and_deleted(v: Visitor) -> None:
    await v.control("reset", {"connectors": []})
    for provider, settings in CONNECTORS.items():
        made = (await v("connectors.create", provider, settings=settings)).data
        assert made.provider == provider
        assert "client_secret" not in made.settings
    assert {one.provider for one in (await v("connectors.list")).data} == set(CONNECTORS)
    assert len((await v("connectors.list", limit=2, offset=8)).data) == 1
    changed = (await v("connectors.update", "google", name="Ours", scope=["openid"])).data
    assert (changed.name, changed.scope) == ("Ours", ("openid",))
    assert (await v("connectors.get", "google")).data == changed
    await v("connectors.delete", "google")
    with pytest.raises(NotFound):
        await v("connectors.get", "google")
    with pytest.raises(NotFound):
        await v("connectors.update", "google", scope=[])
    with pytest.raises(NotFound):
        await v("connectors.delete", "google")
    with pytest.raises(Rejected):
        await v("connectors.create", "microsoft", settings=CONNECTORS["microsoft"])


@STEPS
async def credentials_are_made_read_changed_and_deleted(v: Visitor) -> None:
    robot = ServiceAccount.model_validate(SERVICE_ACCOUNT)
    made = (await v("credentials.create", "google", name="robot", data=robot)).data
    assert (await v("credentials.get", "google", made.id)).data == made
    override = ConnectorOverride(client_id="c", client_secret=SECRET)
    other = (await v("credentials.create", "google", name="other", data=override)).data
    tenant = (await v("credentials.create", "microsoft", name="tenant", data=TENANT)).data
    assert tenant.name == "tenant"
    changed = (await v("credentials.update", "google", made.id, name="robot 2", data=robot)).data
    assert (changed.id, changed.name) == (made.id, "robot 2")
    listed = (await v("credentials.list", "google", sort_by="updated_at", order_by="desc")).data
    assert {made.id, other.id} <= {one.id for one in listed}
    pages = await v("credentials.each_page", "google", limit=1)
    assert {one.id for page in pages for one in page.data} == {one.id for one in listed}
    active = (await v("connectors.update", "google", active_credential_id=other.id)).data
    assert active.active_credential_id == other.id
    await v("credentials.delete", "google", made.id)
    for method in ("get", "update", "delete"):
        with pytest.raises((NotFound, Rejected)):
            await v(f"credentials.{method}", "google", made.id)


@STEPS
async def the_application_is_read_and_changed(v: Visitor) -> None:
    info = (await v("applications.get")).data
    assert (info.application_id, info.region, info.environment) == (CLIENT_ID, "us", "production")
    branding = Branding(name="Evergrant", website_url="https://app.example.com", description="d")
    looks = HostedAuthentication(title="Sign in", alignment="left", spacing=4)
    more = AdditionalSettings(rotate_refresh_token=False)
    change = ApplicationChange(branding=branding, hosted_authentication=looks, additional_settings=more)
    changed = (await v("applications.update", change)).data
    assert changed.branding["name"] == "Evergrant"
    assert changed.hosted_authentication["title"] == "Sign in"


@STEPS
async def redirect_uris_are_made_read_changed_and_deleted(v: Visitor) -> None:
    print_ = PlatformSettings(package_name="com.example.app", sha1_certificate_fingerprint="16:0F:7E")
    web = (await v("redirect_uris.create", NewRedirectUri(url=REDIRECT_URI))).data
    for platform, settings in (
        ("desktop", None),
        ("js", PlatformSettings(origin="https://spa.example.com")),
        ("ios", PlatformSettings(bundle_id="com.example.app")),
        ("android", print_),
    ):
        uri = NewRedirectUri(url=f"https://{platform}.example.com/cb", platform=platform, settings=settings)
        made = (await v("redirect_uris.create", uri)).data
        assert (made.platform, (await v("redirect_uris.get", made.id)).data) == (platform, made)
    assert len((await v("redirect_uris.list")).data) == 5
    changed = (await v("redirect_uris.update", web.id, NewRedirectUri(url=f"{REDIRECT_URI}/2"))).data
    assert (changed.id, changed.url) == (web.id, f"{REDIRECT_URI}/2")
    await v("redirect_uris.delete", web.id)
    with pytest.raises(NotFound):
        await v("redirect_uris.get", web.id)


@STEPS
async def webhooks_are_made_read_changed_tried_and_deleted(v: Visitor) -> None:
    new = NewWebhook(
        webhook_url=v.hook,
        trigger_types=GRANT_TRIGGERS,
        description="ours",
        notification_email_addresses=(EMAIL,),
        compressed_delivery=True,
    )
    made = (await v("webhooks.create", new)).data
    assert (made.webhook_url, made.status, made.compressed_delivery) == (v.hook, "active", True)
    assert (await v("webhooks.get", made.id)).data.trigger_types == GRANT_TRIGGERS
    assert [one.id for one in (await v("webhooks.list")).data] == [made.id]
    assert (await v("webhooks.update", made.id, WebhookChange(status="pause"))).data.status == "pause"
    rotated = (await v("webhooks.rotate_secret", made.id)).data
    assert rotated.webhook_secret
    assert rotated.webhook_secret != made.webhook_secret
    payload = (await v("webhooks.mock_payload", "grant.expired", webhook_url=v.hook)).data
    assert payload
    await v("webhooks.send_test_event", "grant.expired", webhook_url=v.hook)
    assert (await v("webhooks.ip_addresses")).data.ip_addresses
    await v("webhooks.delete", made.id)
    with pytest.raises(NotFound):
        await v("webhooks.get", made.id)
    with pytest.raises(Rejected):
        await v("webhooks.create", NewWebhook(webhook_url=f"{v.url}/nobody", trigger_types=GRANT_TRIGGERS))
