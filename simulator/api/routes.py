"""Nylas' own paths, and which of them ask for the API key."""

from simulator.api import custom_auth, grants, oauth, tokens, webhooks
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
]
