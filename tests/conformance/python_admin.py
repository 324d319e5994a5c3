"""The Python SDK's steps through connectors, credentials, the application, its redirect URIs and webhooks."""

import pytest
from nylas.models.errors import NylasApiError
from nylas.resources.webhooks import extract_challenge_parameter

from tests.conformance.python_sdk import Visitor
from tests.conformance.tour import ADMIN_CONSENT, CLIENT_ID, EMAIL, GOOGLE, REDIRECT_URI, SERVICE_ACCOUNT, Steps

STEPS = Steps()

TRIGGERS = ["grant.created", "grant.expired"]


def refuses(v: Visitor, status: int, kind: str, method: str, *args: object) -> NylasApiError:
    """Call a method that must be refused in these words."""
    with pytest.raises(NylasApiError) as refused:
        v(method, *args)
    error = refused.value
    assert (error.status_code, error.type) == (status, kind)
    assert error.request_id == error.headers["x-request-id"]
    assert str(error)
    return error


@STEPS
def connectors_are_made_read_changed_and_deleted(v: Visitor) -> None:
    v.control("reset", {"connectors": []})
    assert v("connectors.list").data == []
    made = v("connectors.create", GOOGLE).data
    assert (made.provider, made.scope) == ("google", GOOGLE["scope"])
    assert made.settings == {"topic_name": "projects/p/topics/nylas"}
    assert v("connectors.find", "google").data == made
    changed = v("connectors.update", "google", {"name": "Ours", "scope": ["openid"]}).data
    assert (changed.scope, changed.settings) == (["openid"], made.settings)
    for provider in ("imap", "icloud", "virtual-calendar"):
        assert v("connectors.create", {"provider": provider}).data.provider == provider
    listed = v("connectors.list", {"limit": 2})
    assert (len(listed.data), listed.next_cursor) == (2, None)
    assert listed.request_id
    assert v("connectors.destroy", "google").request_id
    assert {connector.provider for connector in v("connectors.list").data} == {"imap", "icloud", "virtual-calendar"}


@STEPS
def a_connector_that_is_not_there_or_not_whole_is_refused(v: Visitor) -> None:
    v.control("reset", {"connectors": []})
    with pytest.raises(NylasApiError) as refused:
        v("connectors.create", {"provider": "google"})
    assert refused.value.status_code == 400
    for method, more in (("find", ()), ("update", ({"scope": []},)), ("destroy", ())):
        with pytest.raises(NylasApiError) as refused:
            v(f"connectors.{method}", "google", *more)
        assert refused.value.status_code == 404
        assert refused.value.request_id


@STEPS
def credentials_are_made_read_changed_and_deleted(v: Visitor) -> None:
    body = {"name": "robot", "credential_type": "serviceaccount", "credential_data": SERVICE_ACCOUNT}
    made = v("connectors.credentials.create", "google", body).data
    assert made.name == "robot"
    assert made.created_at == made.updated_at > 0
    assert v("connectors.credentials.find", "google", made.id).data == made
    assert v("connectors.credentials.create", "google", body).data.id == made.id
    renewed = {**SERVICE_ACCOUNT, "private_key_id": "key-2"}
    changed = v("connectors.credentials.update", "google", made.id, {"name": "robot 2", "credential_data": renewed})
    assert (changed.data.id, changed.data.name) == (made.id, "robot 2")
    listed = v("connectors.credentials.list", "google", {"limit": 10, "sort_by": "created_at", "order_by": "desc"})
    assert made.id in [credential.id for credential in listed.data]
    assert v("connectors.credentials.destroy", "google", made.id).request_id
    listed = v("connectors.credentials.list", "google")
    assert made.id not in [credential.id for credential in listed.data]
    consent = {"name": "tenant", "credential_type": "adminconsent", "credential_data": ADMIN_CONSENT}
    override = {
        "name": "b",
        "credential_type": "connector",
        "credential_data": {"client_id": "c", "client_secret": "s"},
    }
    for body in (consent, override):
        assert v("connectors.credentials.create", "microsoft", body).data.name == body["name"]


@STEPS
def a_credential_that_is_not_there_or_not_whole_is_refused(v: Visitor) -> None:
    for method, more in (("find", ()), ("update", ({"name": "x"},)), ("destroy", ())):
        with pytest.raises(NylasApiError) as refused:
            v(f"connectors.credentials.{method}", "google", "11111111-2222-4333-8444-999999999999", *more)
        assert refused.value.status_code == 404
        assert refused.value.request_id
    body = {"name": "robot", "credential_type": "serviceaccount", "credential_data": {"client_email": "x"}}
    with pytest.raises(NylasApiError) as refused:
        v("connectors.credentials.create", "google", body)
    assert refused.value.status_code == 400


@STEPS
def the_application_is_read_and_changed(v: Visitor) -> None:
    info = v("applications.info").data
    assert (info.application_id, info.region, info.environment) == (CLIENT_ID, "us", "production")
    assert info.organization_id
    assert info.branding.name
    assert info.callback_uris == []
    branding = {"name": "Evergrant", "website_url": "https://app.example.com"}
    looks = {"title": "Sign in", "alignment": "left", "spacing": 4}
    change = {
        "branding": branding,
        "hosted_authentication": looks,
        "additional_settings": {"login_url": "https://x.io"},
    }
    changed = v("applications.update", change).data
    assert (changed.branding.name, changed.branding.website_url) == ("Evergrant", "https://app.example.com")
    assert (changed.hosted_authentication.title, changed.hosted_authentication.spacing) == ("Sign in", 4)
    assert v("applications.info").data.branding == changed.branding


@STEPS
def redirect_uris_are_made_read_changed_and_deleted(v: Visitor) -> None:
    web = v("applications.redirect_uris.create", {"url": REDIRECT_URI}).data
    assert (web.url, web.platform) == (REDIRECT_URI, "web")
    origin = {"origin": "https://spa.example.com"}
    js = v(
        "applications.redirect_uris.create", {"url": "https://spa.example.com/cb", "platform": "js", "settings": origin}
    )
    assert js.data.settings.origin == "https://spa.example.com"
    assert v("applications.redirect_uris.find", js.data.id).data == js.data
    listed = v("applications.redirect_uris.list")
    assert {uri.id for uri in listed.data} == {web.id, js.data.id}
    assert listed.request_id
    assert {uri.url for uri in v("applications.info").data.callback_uris} == {REDIRECT_URI, js.data.url}
    changed = v("applications.redirect_uris.update", web.id, {"url": f"{REDIRECT_URI}/2", "platform": "web"}).data
    assert (changed.id, changed.url) == (web.id, f"{REDIRECT_URI}/2")
    assert v("applications.redirect_uris.destroy", web.id).request_id
    for method, more in (("find", ()), ("update", ({"url": REDIRECT_URI, "platform": "web"},)), ("destroy", ())):
        with pytest.raises(NylasApiError) as refused:
            v(f"applications.redirect_uris.{method}", web.id, *more)
        assert refused.value.status_code == 404
    with pytest.raises(NylasApiError) as refused:
        v("applications.redirect_uris.create", {"url": "http://app.example.com/plain"})
    assert refused.value.status_code == 400


@STEPS
def webhooks_are_made_read_changed_and_deleted(v: Visitor) -> None:
    body = {"trigger_types": TRIGGERS, "webhook_url": v.hook, "description": "ours"}
    made = v("webhooks.create", {**body, "notification_email_addresses": [EMAIL]}).data
    assert (made.trigger_types, made.webhook_url, made.status) == (TRIGGERS, v.hook, "active")
    assert (made.description, made.notification_email_addresses) == ("ours", [EMAIL])
    assert made.webhook_secret
    found = v("webhooks.find", made.id).data
    assert (found.id, found.webhook_url, found.created_at) == (made.id, v.hook, made.created_at)
    assert [hook.id for hook in v("webhooks.list").data] == [made.id]
    changed = v("webhooks.update", made.id, {"trigger_types": ["grant.deleted"], "description": "theirs"}).data
    assert (changed.trigger_types, changed.description, changed.webhook_url) == (["grant.deleted"], "theirs", v.hook)
    rotated = v("webhooks.rotate_secret", made.id).data
    assert (rotated.id, rotated.webhook_secret == made.webhook_secret) == (made.id, False)
    gone = v("webhooks.destroy", made.id)
    assert gone.data.status == "success"
    assert gone.request_id
    assert v("webhooks.list").data == []


@STEPS
def webhooks_are_refused_with_a_number(v: Visitor) -> None:
    for method, more in (("find", ()), ("update", ({"description": "x"},)), ("rotate_secret", ()), ("destroy", ())):
        error = refuses(v, 400, "70000", f"webhooks.{method}", "WmQ3xT8rB1kZ5yN0sE4jHc", *more)
        assert str(error) == "destination.id.not.found : record not found"
    body = {"trigger_types": TRIGGERS, "webhook_url": f"{v.url}/nobody-listens-here"}
    assert str(refuses(v, 400, "70005", "webhooks.create", body)).startswith("unable.verify.webhook_url : ")


@STEPS
def webhook_addresses_and_challenges_are_told(v: Visitor) -> None:
    told = v("webhooks.ip_addresses").data
    assert told.ip_addresses
    assert told.updated_at > 0
    assert extract_challenge_parameter(f"{v.hook}?challenge=c-1") == "c-1"
