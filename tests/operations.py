"""Every operation of Nylas' authentication API: how it is called, what goes over the wire, what comes back."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nylas_api import (
    Answer,
    ApplicationChange,
    Branding,
    Connector,
    Credential,
    DetectedProvider,
    GoogleApp,
    HostedAuthentication,
    Imap,
    NewRedirectUri,
    NewWebhook,
    NylasApplication,
    NylasClient,
    NylasGrant,
    PlatformSettings,
    RedirectUri,
    RefreshToken,
    ServiceAccount,
    TokenAnswer,
    TokenInfo,
    Webhook,
    WebhookChange,
    WebhookIpAddresses,
)
from tests import nylas_says as says
from tests.nylas_says import GRANT_ID, ID, enveloped
from tests.wire import KEY

PROVIDER, EMAIL, CLIENT_ID = "google", "ada+1@example.com", "app"
CALLBACK, HOOK = "https://app.example.com/callback", "https://app.example.com/webhooks/nylas"

# Awkward in JSON, in URLs and in logs; the word SECRET is what must never be seen.
CODE = 'code+/="\\-SECRET-1'
VERIFIER = "verifier-SECRET-2~._"
NYLAS_REFRESH = "nylas refresh &?#-SECRET-3"
NYLAS_ACCESS = "access+/=%25-SECRET-4"
ID_TOKEN = "head.SECRET-5+/.sign="
PROVIDER_REFRESH = "1//09\u00fc\u2028-SECRET-6"
IMAP_PASSWORD = 'p"w\\\t\U0001f511-SECRET-7'
SMTP_PASSWORD = "smtp <b>&amp;-SECRET-8"
CLIENT_SECRET = "GOCSPX-SECRET-9+/="
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvSECRET10aaaa+/\nbbbbSECRET11cccc==\n-----END PRIVATE KEY-----\n"


@dataclass(frozen=True)
class Operation:
    """One operation of Nylas'.

    `name` is the method of `NylasClient` that makes it; `route` is method and path as Nylas' OpenAPI has
    them. `query`, `body` and `bearer` are what must go over the wire when `call` is called; `answer`,
    with `status`, is a success, and holds a `gives`, a tuple of them, or neither. `secrets` are those
    among the arguments.
    """

    name: str
    route: str
    call: Callable[[NylasClient], Awaitable[Answer[Any]]]
    answer: object
    gives: type[Any] | None = None
    status: int = 200
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    bearer: str | None = KEY
    secrets: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The method of HTTP."""
        return self.route.split()[0]

    @property
    def path(self) -> str:
        """The path that must be asked, its gaps filled."""
        fill = {"provider": PROVIDER, "grantId": GRANT_ID, "id": ID}
        return re.sub(r"\{(\w+)\}", lambda gap: fill[gap[1]], self.route.split()[1])

    @property
    def about_a_grant(self) -> bool:
        """Whether a 404 says that there is no such grant."""
        return self.path.startswith("/v3/grants/")

    def __str__(self) -> str:
        """Name it, as in the name of a test."""
        return self.name


@dataclass(frozen=True)
class Address:
    """The one operation that a browser makes: the client only says where."""

    name: str
    route: str
    url: Callable[[NylasClient], str]
    query: Mapping[str, str]


SERVICE_ACCOUNT = {"private_key_id": "key-1", "private_key": PRIVATE_KEY, "client_email": "robot@p.example.com"}
GOOGLE_APP = {"client_id": "google-client", "client_secret": CLIENT_SECRET, "topic_name": "projects/p/topics/t"}
IMAP = {"imap_username": EMAIL, "imap_password": IMAP_PASSWORD, "imap_host": "imap.example.com", "imap_port": 993,
        "smtp_host": "smtp.example.com", "smtp_port": 465, "smtp_password": SMTP_PASSWORD}  # fmt: skip
CHANGE = {"branding": {"name": "Example"}, "hosted_authentication": {"title": "Hello", "spacing": 5}}
NEW_URI = {"url": CALLBACK, "platform": "js", "settings": {"origin": "https://app.example.com"}}
NEW_HOOK = {"webhook_url": HOOK, "trigger_types": ["grant.created", "grant.expired"], "compressed_delivery": True}
GONE = {"request_id": "req-1"}
PAGE = {"limit": "200", "offset": "0"}
SORTED = {"sort_by": "created_at", "order_by": "asc"}
APP = {"client_id": CLIENT_ID, "client_secret": KEY}
URI = NewRedirectUri(url=CALLBACK, platform="js", settings=PlatformSettings(origin="https://app.example.com"))
ROBOT = ServiceAccount.model_validate(SERVICE_ACCOUNT)

OPERATIONS: tuple[Operation, ...] = (
    Operation("auth.exchange_code", "POST /v3/connect/token",
              lambda c: c.auth.exchange_code(code=CODE, redirect_uri=CALLBACK, code_verifier=VERIFIER),
              says.TOKEN, TokenAnswer, bearer=None, secrets=(CODE, VERIFIER),
              body={**APP, "grant_type": "authorization_code", "code": CODE, "redirect_uri": CALLBACK,
                    "code_verifier": VERIFIER}),
    Operation("auth.refresh_access_token", "POST /v3/connect/token",
              lambda c: c.auth.refresh_access_token(refresh_token=NYLAS_REFRESH), says.TOKEN, TokenAnswer,
              bearer=None, secrets=(NYLAS_REFRESH,),
              body={**APP, "grant_type": "refresh_token", "refresh_token": NYLAS_REFRESH}),
    Operation("auth.grant_access_token", "POST /v3/connect/token", lambda c: c.auth.grant_access_token(GRANT_ID),
              says.TOKEN, TokenAnswer, bearer=None,
              body={**APP, "grant_type": "client_credentials", "grant_id": GRANT_ID}),
    Operation("auth.token_info", "GET /v3/connect/tokeninfo", lambda c: c.auth.token_info(id_token=ID_TOKEN),
              enveloped(says.TOKEN_INFO), TokenInfo, query={"id_token": ID_TOKEN}, secrets=(ID_TOKEN,)),
    Operation("auth.revoke", "POST /v3/connect/revoke", lambda c: c.auth.revoke(NYLAS_ACCESS), {},
              query={"token": NYLAS_ACCESS}, secrets=(NYLAS_ACCESS,)),
    Operation("auth.custom", "POST /v3/connect/custom",
              lambda c: c.auth.custom(provider="imap", settings=Imap.model_validate(IMAP), state="tenant-7"),
              enveloped(says.GRANT), NylasGrant, 201, secrets=(IMAP_PASSWORD, SMTP_PASSWORD),
              body={"provider": "imap", "settings": IMAP, "state": "tenant-7"}),
    Operation("auth.detect_provider", "POST /v3/providers/detect",
              lambda c: c.auth.detect_provider(EMAIL, all_provider_types=True),
              enveloped(says.DETECTED), DetectedProvider, query={"email": EMAIL, "all_provider_types": "true"}),
    Operation("grants.list", "GET /v3/grants", lambda c: c.grants.list(grant_status="invalid"),
              enveloped([says.GRANT], limit=200, offset=0), NylasGrant,
              query={**PAGE, **SORTED, "grant_status": "invalid"}),
    Operation("grants.get", "GET /v3/grants/{grantId}", lambda c: c.grants.get(GRANT_ID, expose_aliases=True),
              enveloped(says.GRANT), NylasGrant, query={"expose_aliases": "true"}),
    Operation("grants.get_by_access_token", "GET /v3/grants/me",
              lambda c: c.grants.get_by_access_token(NYLAS_ACCESS), enveloped(says.GRANT), NylasGrant,
              bearer=NYLAS_ACCESS, secrets=(NYLAS_ACCESS,)),
    Operation("grants.update", "PATCH /v3/grants/{grantId}",
              lambda c: c.grants.update(
                  GRANT_ID, settings=RefreshToken.model_validate({"refresh_token": PROVIDER_REFRESH}), scope=["openid"]
              ),
              enveloped(says.GRANT), NylasGrant, secrets=(PROVIDER_REFRESH,),
              body={"settings": {"refresh_token": PROVIDER_REFRESH}, "scope": ["openid"]}),
    Operation("grants.delete", "DELETE /v3/grants/{grantId}", lambda c: c.grants.delete(GRANT_ID), GONE),
    Operation("connectors.list", "GET /v3/connectors", lambda c: c.connectors.list(),
              enveloped([says.CONNECTOR], limit=200, offset=0), Connector, query=PAGE),
    Operation("connectors.get", "GET /v3/connectors/{provider}", lambda c: c.connectors.get(PROVIDER),
              enveloped(says.CONNECTOR), Connector),
    Operation("connectors.create", "POST /v3/connectors",
              lambda c: c.connectors.create(
                  PROVIDER, settings=GoogleApp.model_validate(GOOGLE_APP), scope=["openid"], name="Ours"
              ),
              enveloped(says.CONNECTOR), Connector, 201, secrets=(CLIENT_SECRET,),
              body={"provider": PROVIDER, "settings": GOOGLE_APP, "scope": ["openid"], "name": "Ours"}),
    Operation("connectors.update", "PATCH /v3/connectors/{provider}",
              lambda c: c.connectors.update(
                  PROVIDER, settings=GoogleApp.model_validate(GOOGLE_APP), scope=[], active_credential_id=ID
              ),
              enveloped(says.CONNECTOR), Connector, secrets=(CLIENT_SECRET,),
              body={"settings": GOOGLE_APP, "scope": [], "active_credential_id": ID}),
    Operation("connectors.delete", "DELETE /v3/connectors/{provider}", lambda c: c.connectors.delete(PROVIDER), GONE),
    Operation("credentials.list", "GET /v3/connectors/{provider}/creds", lambda c: c.credentials.list(PROVIDER),
              enveloped([says.CREDENTIAL], limit=200, offset=0), Credential, query={**PAGE, **SORTED}),
    Operation("credentials.get", "GET /v3/connectors/{provider}/creds/{id}",
              lambda c: c.credentials.get(PROVIDER, ID), enveloped(says.CREDENTIAL), Credential),
    Operation("credentials.create", "POST /v3/connectors/{provider}/creds",
              lambda c: c.credentials.create(PROVIDER, name="robot", data=ROBOT),
              enveloped(says.CREDENTIAL), Credential, 201, secrets=(PRIVATE_KEY,),
              body={"name": "robot", "credential_type": "serviceaccount", "credential_data": SERVICE_ACCOUNT}),
    Operation("credentials.update", "PATCH /v3/connectors/{provider}/creds/{id}",
              lambda c: c.credentials.update(PROVIDER, ID, name="robot", data=ROBOT),
              enveloped(says.CREDENTIAL), Credential, secrets=(PRIVATE_KEY,),
              body={"name": "robot", "credential_data": SERVICE_ACCOUNT}),
    Operation("credentials.delete", "DELETE /v3/connectors/{provider}/creds/{id}",
              lambda c: c.credentials.delete(PROVIDER, ID), GONE),
    Operation("applications.get", "GET /v3/applications", lambda c: c.applications.get(),
              enveloped(says.APPLICATION), NylasApplication),
    Operation("applications.update", "PATCH /v3/applications",
              lambda c: c.applications.update(ApplicationChange(
                  branding=Branding(name="Example"),
                  hosted_authentication=HostedAuthentication(title="Hello", spacing=5),
              )),
              enveloped(says.APPLICATION), NylasApplication, body=CHANGE),
    Operation("redirect_uris.list", "GET /v3/applications/redirect-uris", lambda c: c.redirect_uris.list(),
              enveloped([says.REDIRECT_URI]), RedirectUri),
    Operation("redirect_uris.get", "GET /v3/applications/redirect-uris/{id}", lambda c: c.redirect_uris.get(ID),
              enveloped(says.REDIRECT_URI), RedirectUri),
    Operation("redirect_uris.create", "POST /v3/applications/redirect-uris", lambda c: c.redirect_uris.create(URI),
              enveloped(says.REDIRECT_URI), RedirectUri, body=NEW_URI),
    Operation("redirect_uris.update", "PATCH /v3/applications/redirect-uris/{id}",
              lambda c: c.redirect_uris.update(ID, URI), enveloped(says.REDIRECT_URI), RedirectUri, body=NEW_URI),
    Operation("redirect_uris.delete", "DELETE /v3/applications/redirect-uris/{id}",
              lambda c: c.redirect_uris.delete(ID), GONE),
    Operation("webhooks.list", "GET /v3/webhooks", lambda c: c.webhooks.list(), enveloped([says.WEBHOOK]), Webhook),
    Operation("webhooks.get", "GET /v3/webhooks/{id}", lambda c: c.webhooks.get(ID), enveloped(says.WEBHOOK), Webhook),
    Operation("webhooks.create", "POST /v3/webhooks",
              lambda c: c.webhooks.create(NewWebhook.model_validate(NEW_HOOK)), enveloped(says.WEBHOOK), Webhook,
              body=NEW_HOOK),
    Operation("webhooks.update", "PUT /v3/webhooks/{id}",
              lambda c: c.webhooks.update(ID, WebhookChange(status="pause")), enveloped(says.WEBHOOK), Webhook,
              body={"status": "pause"}),
    Operation("webhooks.delete", "DELETE /v3/webhooks/{id}", lambda c: c.webhooks.delete(ID),
              enveloped({"status": "success"})),
    Operation("webhooks.rotate_secret", "POST /v3/webhooks/rotate-secret/{id}",
              lambda c: c.webhooks.rotate_secret(ID), enveloped(says.WEBHOOK), Webhook),
    Operation("webhooks.mock_payload", "POST /v3/webhooks/mock-payload",
              lambda c: c.webhooks.mock_payload("grant.expired", webhook_url=HOOK), enveloped(says.NOTIFICATION), dict,
              body={"trigger_type": "grant.expired", "webhook_url": HOOK}),
    Operation("webhooks.send_test_event", "POST /v3/webhooks/send-test-event",
              lambda c: c.webhooks.send_test_event("grant.expired", webhook_url=HOOK), enveloped("success"), bool,
              body={"trigger_type": "grant.expired", "webhook_url": HOOK}),
    Operation("webhooks.ip_addresses", "GET /v3/webhooks/ip-addresses", lambda c: c.webhooks.ip_addresses(),
              enveloped(says.IP_ADDRESSES), WebhookIpAddresses),
)  # fmt: skip
"""The calls: the 35 that Nylas' OpenAPI has (the token endpoint with its three grant types), and the IP addresses."""

SIGN_IN = Address(
    "auth.url",
    "GET /v3/connect/auth",
    lambda c: c.auth.url(
        redirect_uri=CALLBACK, provider=PROVIDER, scope=["openid", "a b"], state="s&t", login_hint=EMAIL,
        code_challenge="C", access_type="offline", prompt="select_provider,detect", credential_id=ID,
        options=["smtp_required"],
    ),
    {"client_id": CLIENT_ID, "redirect_uri": CALLBACK, "response_type": "code", "provider": PROVIDER,
     "scope": "openid a b", "state": "s&t", "login_hint": EMAIL, "code_challenge": "C",
     "code_challenge_method": "S256", "access_type": "offline", "prompt": "select_provider,detect",
     "credential_id": ID, "options": "smtp_required"},
)  # fmt: skip
