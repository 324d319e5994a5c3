"""Nylas' own paths, and which of them ask for the API key."""

from simulator.api import custom_auth, grants, oauth, tokens, webhook_trials, webhooks
from simulator.asked import Handler

OPEN: list[tuple[str, str, Handler]] = [
    ("GET", "/v3/connect/auth", oauth.authorize),
    ("POST", "/v3/connect/token", tokens.token),
]
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
]
