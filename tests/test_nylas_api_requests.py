"""What the client sends in all its variants, what it refuses to send, and that it shows no secret meanwhile."""

import json
from collections.abc import AsyncIterator
from typing import get_args
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio
from pydantic import SecretStr, ValidationError

from nylas_api import (
    APP_OF,
    PROVIDERS,
    AdminConsent,
    AgentAccount,
    BulkGrant,
    ConnectorOverride,
    Ews,
    GoogleApp,
    ICloud,
    Imap,
    MicrosoftApp,
    NewRedirectUri,
    NoApp,
    NylasClient,
    OAuthApp,
    RefreshToken,
    ServiceAccount,
    VirtualCalendar,
    errors,
)
from nylas_api.provider_settings import SETTINGS_OF
from nylas_api.sent import Sent
from tests import nylas_says as says
from tests.nylas_says import GRANT_ID, ID, enveloped
from tests.operations import CALLBACK, EMAIL, NYLAS_ACCESS, OPERATIONS, PROVIDER, SIGN_IN, Operation
from tests.wire import KEY, NOW, Wire, answer, nylas

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = 'pw "\\\n\u00fc+/=-SECRET'
APP_PASSWORD = "SECRET-of-an-agent-account"

SETTINGS: list[tuple[str, type[Sent], dict[str, object]]] = [
    *((provider, RefreshToken, {"refresh_token": SECRET}) for provider in ("google", "microsoft", "yahoo", "zoom")),
    ("google", RefreshToken, {"refresh_token": SECRET, "credential_id": ID}),
    ("google", BulkGrant, {"email_address": EMAIL, "credential_id": ID, "scopes": ["openid"]}),
    ("microsoft", BulkGrant, {"email_address": EMAIL, "credential_id": ID}),
    ("imap", Imap, {"imap_username": EMAIL, "imap_password": SECRET}),
    ("imap", Imap, {"imap_username": EMAIL, "imap_password": SECRET, "imap_host": "i.example.com", "imap_port": 993,
                    "smtp_host": "s.example.com", "smtp_port": 465, "smtp_username": "ada", "smtp_password": SECRET,
                    "type": "yahoo"}),
    ("icloud", ICloud, {"username": EMAIL, "password": SECRET}),
    ("ews", Ews, {"email": EMAIL, "ews_username": "ada", "ews_password": SECRET, "ews_host": "x.example.com",
                  "ews_port": 443}),
    ("virtual-calendar", VirtualCalendar, {"email": "Room 4"}),
    ("nylas", AgentAccount, {"email": EMAIL, "app_password": APP_PASSWORD}),
    ("nylas", AgentAccount, {"email": EMAIL}),
]  # fmt: skip
APPS: list[tuple[str, type[Sent], dict[str, object]]] = [
    ("google", GoogleApp, {"client_id": "c", "client_secret": SECRET, "topic_name": "projects/p/topics/t"}),
    ("microsoft", MicrosoftApp, {"client_id": "c", "client_secret": SECRET, "tenant": "common"}),
    ("yahoo", OAuthApp, {"client_id": "c", "client_secret": SECRET}),
    ("zoom", OAuthApp, {"client_id": "c", "client_secret": SECRET}),
    ("ews", NoApp, {}),
]
CREDENTIALS: list[tuple[str, type[Sent], dict[str, object]]] = [
    ("serviceaccount", ServiceAccount, {"private_key_id": "k", "private_key": SECRET, "client_email": "r@e.com",
                                        "type": "service_account", "token_uri": "https://oauth2.example.com/token"}),
    ("adminconsent", AdminConsent, {"client_id": "c", "client_secret": SECRET, "tenant": "t"}),
    ("adminconsent", AdminConsent, {"tenant": "t"}),
    ("connector", ConnectorOverride, {"client_id": "c", "client_secret": SECRET, "tenant": "t"}),
    ("connector", ConnectorOverride, {"client_id": "c", "client_secret": SECRET, "topic_name": "t"}),
]  # fmt: skip
CONNECTOR_OPERATIONS = [operation for operation in OPERATIONS if "/v3/connectors" in operation.route]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Wire]:
    """One Nylas for all that is sent here."""
    async with nylas() as (_, wire):
        yield wire


@pytest.fixture
def wire(server: Wire) -> Wire:
    """The same, with an empty memory and a grant to tell of."""
    server.heads.clear()
    server.bodies.clear()
    server.replies[:] = [answer(200, enveloped(says.GRANT))] * 9
    return server


def queries(wire: Wire) -> list[dict[str, str]]:
    return [dict(parse_qsl(urlsplit(head.split()[1]).query, keep_blank_values=True)) for head in wire.heads]


@pytest.mark.parametrize(("provider", "kind", "settings"), SETTINGS)
async def test_custom_authentication_sends_the_settings_of_its_provider_and_shows_none_of_the_secrets(
    provider: str, kind: type[Sent], settings: dict[str, object], wire: Wire
) -> None:
    typed = kind.model_validate(settings)
    told = await wire.new_client().auth.custom(provider=provider, settings=typed, scope=["a"], name="Ada")
    assert told.data.id == GRANT_ID
    assert json.loads(wire.bodies[0]) == {"provider": provider, "settings": settings, "scope": ["a"], "name": "Ada"}
    assert "SECRET" not in f"{typed!r} {typed} {typed.model_dump()} {typed.model_dump_json()}"
    assert sorted({*typed.secrets()}) == sorted({value for value in settings.values() if "SECRET" in str(value)})


async def test_every_provider_has_settings_and_takes_no_others(wire: Wire) -> None:
    assert {provider for provider, _, _ in SETTINGS} == set(PROVIDERS) == set(SETTINGS_OF)
    typed = [kind.model_validate(settings) for _, kind, settings in SETTINGS]
    client = wire.new_client()
    for provider in PROVIDERS:
        for settings in typed:
            if type(settings) not in SETTINGS_OF[provider]:
                with pytest.raises(ValueError, match=f"{provider} takes .*, not {type(settings).__name__}"):
                    await client.auth.custom(provider=provider, settings=settings)
    assert wire.heads == []
    await client.auth.custom(provider="teapot", settings=typed[0])  # Nylas may know more than we do
    assert json.loads(wire.bodies[0])["provider"] == "teapot"


async def test_settings_that_nylas_cannot_take_are_refused_without_being_shown() -> None:
    for _, kind, settings in (*SETTINGS, *APPS, *CREDENTIALS):
        fields = {**settings, "password_typo": SECRET} if kind is not ServiceAccount else {"private_key": SECRET}
        with pytest.raises(ValidationError) as caught:
            kind.model_validate(fields)
        assert "SECRET" not in f"{caught.value} {caught.value!r}"
    for kind, fields in ((Imap, {"imap_port": 65536}), (Imap, {"imap_password": ""}), (AgentAccount, {"email": ""}),
                         (AgentAccount, {"app_password": "SECRET-too-short"})):  # fmt: skip
        whole = next(settings for _, known, settings in SETTINGS if known is kind)
        with pytest.raises(ValidationError) as caught:
            kind.model_validate({**whole, **fields})
        assert "SECRET" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(("provider", "kind", "settings"), APPS)
async def test_a_connector_is_made_with_the_application_of_its_provider(
    provider: str, kind: type[Sent], settings: dict[str, object], wire: Wire
) -> None:
    assert APP_OF[provider] is kind
    wire.replies[:] = [answer(201, enveloped(says.CONNECTOR))] * 3
    client, typed = wire.new_client(), kind.model_validate(settings)
    await client.connectors.create(provider, settings=typed)
    await client.connectors.create(provider)
    await client.connectors.update(provider, settings=typed)
    assert [json.loads(body) for body in wire.bodies] == [
        {"provider": provider, "settings": settings}, {"provider": provider}, {"settings": settings},
    ]  # fmt: skip
    assert "SECRET" not in repr(typed)


@pytest.mark.parametrize(("credential_type", "kind", "data"), CREDENTIALS)
async def test_a_credential_is_made_with_the_data_of_its_type(
    credential_type: str, kind: type[Sent], data: dict[str, object], wire: Wire
) -> None:
    wire.replies[:] = [answer(201, enveloped(says.CREDENTIAL))] * 3
    client, typed = wire.new_client(), kind.model_validate(data)
    await client.credentials.create("google", name="n", data=typed)
    await client.credentials.update("google", ID, data=typed)
    await client.credentials.update("google", ID, name="n")
    assert [json.loads(body) for body in wire.bodies] == [
        {"name": "n", "credential_type": credential_type, "credential_data": data}, {"credential_data": data},
        {"name": "n"},
    ]  # fmt: skip
    assert "SECRET" not in repr(typed)


@pytest.mark.parametrize("operation", CONNECTOR_OPERATIONS, ids=str)
async def test_connectors_and_their_credentials_can_be_kept_elsewhere(operation: Operation) -> None:
    reply = answer(operation.status, operation.answer)
    async with nylas(reply, connectors_path="/v3/integrations") as (client, wire):
        await operation.call(client)
    path = operation.path.replace("/v3/connectors", "/v3/integrations")
    assert urlsplit(wire.heads[0].split()[1]).path == path != operation.path


async def test_every_filter_of_grants_goes_into_the_query(wire: Wire) -> None:
    wire.replies[:] = [answer(200, enveloped([]))]
    await wire.new_client().grants.list(
        limit=1, offset=3, sort_by="updated_at", order_by="desc", email=EMAIL, grant_status="valid", provider=None,
        since=NOW, before=NOW, ip="198.51.100.7", workspace_id="w", account_id="a", account_ids=["b", "c"],
    )  # fmt: skip
    at = str(int(NOW.timestamp()))
    assert queries(wire) == [{
        "limit": "1", "offset": "3", "sort_by": "updated_at", "order_by": "desc", "email": EMAIL,
        "grant_status": "valid", "since": at, "before": at, "ip": "198.51.100.7", "workspace_id": "w",
        "account_id": "a", "account_ids": "b,c",
    }]  # fmt: skip


async def test_a_token_is_asked_about_by_its_kind_and_one_at_a_time(wire: Wire) -> None:
    wire.replies[:] = [answer(200, enveloped(says.TOKEN_INFO))]
    client = wire.new_client()
    await client.auth.token_info(access_token=NYLAS_ACCESS)
    for tokens in ({}, {"id_token": "", "access_token": ""}, {"id_token": "SECRET", "access_token": "SECRET"}):
        with pytest.raises(ValueError, match="one token") as caught:
            await client.auth.token_info(**tokens)
        assert "SECRET" not in str(caught.value)
    assert queries(wire) == [{"access_token": NYLAS_ACCESS}]


async def test_the_sign_in_address_carries_all_that_was_asked_for(wire: Wire) -> None:
    client = wire.new_client()
    url = urlsplit(SIGN_IN.url(client))
    assert f"GET {url.path}" == SIGN_IN.route
    assert dict(parse_qsl(url.query)) == SIGN_IN.query
    consent = urlsplit(client.auth.admin_consent_url(redirect_uri=CALLBACK, credential_id=ID, state="s"))
    assert dict(parse_qsl(consent.query)) == {
        "client_id": "app", "redirect_uri": CALLBACK, "response_type": "adminconsent", "provider": "microsoft",
        "credential_id": ID, "state": "s",
    }  # fmt: skip
    assert KEY not in f"{url} {consent}"
    assert wire.heads == []


@pytest.mark.parametrize("step", ["..", "", "a/../../b", "x y?z#", "\u00fc", "%2e%2e", "a\r\nHost: evil"])
async def test_no_id_leaves_its_place_in_the_path(step: str, wire: Wire) -> None:
    client = wire.new_client()
    calls = [client.grants.get, client.connectors.get, client.webhooks.get, client.redirect_uris.get]
    for call in (*calls, lambda id_: client.credentials.get(PROVIDER, id_), client.webhooks.rotate_secret):
        try:
            await call(step)
        except (ValueError, errors.Garbled):
            continue
    if step in ("..", ""):
        assert wire.heads == []
        return
    paths = [head.split()[1] for head in wire.heads]
    assert len({path.rpartition("/")[2] for path in paths}) == 1
    assert {path.rpartition("/")[0] for path in paths} == {
        "/v3/grants", "/v3/connectors", "/v3/webhooks", "/v3/applications/redirect-uris",
        f"/v3/connectors/{PROVIDER}/creds", "/v3/webhooks/rotate-secret",
    }  # fmt: skip
    assert not any("evil" in line for head in wire.heads for line in head.split("\r\n")[1:])


@pytest.mark.parametrize("token", ["SECRET-\u00fc", "SECRET\r\nX-Evil: 1", "SECRET\ud800", "SECRET" * 20_000])
async def test_a_token_that_cannot_be_one_is_refused_without_being_shown(token: str, wire: Wire) -> None:
    client = wire.new_client()
    refusals: list[Exception] = []
    for call in (client.grants.get_by_access_token, client.auth.revoke, lambda t: client.auth.token_info(id_token=t)):
        try:
            await call(token)
        except (ValueError, errors.NylasError) as error:
            refusals.append(error)
    assert any(isinstance(error, ValueError) for error in refusals)
    assert not any("SECRET" in f"{error} {error!r} {vars(error)}" for error in refusals)
    assert not any("evil:" in line.lower()[:8] for head in wire.heads for line in head.split("\r\n"))


async def test_a_redirect_uri_is_refused_that_its_platform_would_not_take() -> None:
    for platform, missing in (("js", "origin"), ("ios", "bundle_id"), ("android", "package_name")):
        with pytest.raises(ValidationError, match=missing):
            NewRedirectUri(url=CALLBACK, platform=platform)
    assert NewRedirectUri(url=CALLBACK).body() == {"url": CALLBACK, "platform": "web"}


async def test_no_secret_of_what_is_sent_is_a_plain_text() -> None:
    words = ("password", "secret", "refresh_token", "private_key")
    kinds = {kind for _, kind, _ in (*SETTINGS, *APPS, *CREDENTIALS)}
    fields = {(kind, name): field for kind in kinds for name, field in kind.model_fields.items()}
    secret = {key: field for key, field in fields.items() if key[1].endswith(words)}
    assert len(secret) == 12
    for field in secret.values():
        assert SecretStr in (field.annotation, *get_args(field.annotation))


async def test_the_client_shows_no_key(wire: Wire) -> None:
    client: NylasClient = wire.new_client()
    assert not any(KEY in repr(vars(group)) for group in vars(client).values())
