"""Nylas' own paths, and which of them ask for the API key."""

from simulator.api import (
    applications,
    connectors,
    credentials,
    custom_auth,
    grants,
    oauth,
    providers,
    redirect_uris,
    token_care,
    tokens,
    webhook_trials,
    webhooks,
)
from simulator.asked import Handler

OPEN: list[tuple[str, str, Handler]] = [
    ("GET", "/v3/connect/auth", oauth.authorize),
    ("POST", "/v3/connect/token", tokens.token),
    ("POST", "/v3/connect/revoke", token_care.revoke_token),
    ("GET", "/v3/connect/tokeninfo", token_care.token_info),
    ("GET", "/v3/grants/me", grants.get_own_grant),
]
# Connectors were called integrations, and one of Nylas' own tools says callback where the API says redirect.
_CONNECTORS = ("/v3/connectors", "/v3/integrations")
_REDIRECT_URIS = ("/v3/applications/redirect-uris", "/v3/applications/callback-uris")
WITH_KEY: list[tuple[str, str, Handler]] = [
    ("POST", "/v3/connect/custom", custom_auth.custom_auth),
    ("GET", "/v3/grants", grants.list_grants),
    ("GET", "/v3/grants/{id}", grants.get_grant),
    ("PATCH", "/v3/grants/{id}", grants.patch_grant),
    ("DELETE", "/v3/grants/{id}", grants.delete_grant),
    ("POST", "/v3/webhooks", webhooks.create_webhook),
    ("GET", "/v3/webhooks", webhooks.list_webhooks),
    ("GET", "/v3/webhooks/{id}", webhooks.get_webhook),
    ("PUT", "/v3/webhooks/{id}", webhooks.put_webhook),
    ("DELETE", "/v3/webhooks/{id}", webhooks.delete_webhook),
    # Nylas' documents and most SDKs say the first, its Python SDK the second.
    ("POST", "/v3/webhooks/rotate-secret/{id}", webhooks.rotate_secret),
    ("PUT", "/v3/webhooks/{id}/rotate-secret", webhooks.rotate_secret),
    ("POST", "/v3/webhooks/mock-payload", webhook_trials.mock_payload),
    ("POST", "/v3/webhooks/send-test-event", webhook_trials.send_test_event),
    ("GET", "/v3/webhooks/ip-addresses", webhook_trials.ip_addresses),
    ("POST", "/v3/providers/detect", providers.detect_provider),
    ("GET", "/v3/applications", applications.get_application),
    ("PATCH", "/v3/applications", applications.patch_application),
    *(
        (method, root + path, handler)
        for root in _REDIRECT_URIS
        for method, path, handler in [
            ("GET", "", redirect_uris.list_redirect_uris),
            ("POST", "", redirect_uris.create_redirect_uri),
            ("GET", "/{id}", redirect_uris.get_redirect_uri),
            ("PATCH", "/{id}", redirect_uris.patch_redirect_uri),
            ("DELETE", "/{id}", redirect_uris.delete_redirect_uri),
        ]
    ),
    *(
        (method, root + path, handler)
        for root in _CONNECTORS
        for method, path, handler in [
            ("POST", "", connectors.create_connector),
            ("GET", "", connectors.list_connectors),
            ("GET", "/{provider}", connectors.get_connector),
            ("PATCH", "/{provider}", connectors.update_connector),
            ("PUT", "/{provider}", connectors.update_connector),
            ("DELETE", "/{provider}", connectors.delete_connector),
            ("POST", "/{provider}/creds", credentials.create_credential),
            ("GET", "/{provider}/creds", credentials.list_credentials),
            ("GET", "/{provider}/creds/{id}", credentials.get_credential),
            ("PATCH", "/{provider}/creds/{id}", credentials.patch_credential),
            ("DELETE", "/{provider}/creds/{id}", credentials.delete_credential),
        ]
    ),
]
