"""What Nylas says when all is well: each of its things with every field that it documents."""

from typing import Any

Fields = dict[str, Any]

ID = "5f0c3b1e-7a52-4d0e-9b5e-3d1f0a6c2b47"
GRANT_ID = "b8e1d0a4-0c6f-4f6a-8f0d-2a9c7e5d4b31"

GRANT: Fields = {
    "id": GRANT_ID,
    "provider": "google",
    "grant_status": "valid",
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "provider_user_id": "1081",
    "scope": ["openid", "https://www.googleapis.com/auth/gmail.readonly"],
    "state": "tenant-7",
    "settings": {"client_id": "google-client"},
    "blocked": True,
    "credential_id": ID,
    "account_id": "v2-account",
    "workspace_id": "workspace-1",
    "email_aliases": ["countess@example.com"],
    "ip": "198.51.100.7",
    "user_agent": "Mozilla/5.0",
    "created_at": 1767225600,
    "updated_at": 1767312000,
}
TOKEN: Fields = {
    "access_token": "told-access-token",
    "refresh_token": "told-refresh-token",
    "id_token": "told.id.token",
    "token_type": "Bearer",
    "expires_in": 3600,
    "scope": "openid email",
    "grant_id": GRANT_ID,
    "email": "ada@example.com",
    "provider": "google",
}
TOKEN_INFO: Fields = {
    "iss": "https://nylas.com",
    "aud": "https://app.example.com",
    "sub": GRANT_ID,
    "email": "ada@example.com",
    "iat": 1767225600,
    "exp": 1767229200,
}
DETECTED: Fields = {"email_address": "ada@icloud.com", "detected": True, "provider": "imap", "type": "icloud"}
CONNECTOR: Fields = {
    "provider": "google",
    "name": "Ours",
    "settings": {"client_id": "google-client", "topic_name": "projects/p/topics/t"},
    "scope": ["openid"],
    "active_credential_id": ID,
}
CREDENTIAL: Fields = {
    "id": ID,
    "name": "robot",
    "credential_type": "serviceaccount",
    "created_at": 1767225600,
    "updated_at": 1767312000,
}
REDIRECT_URI: Fields = {
    "id": ID,
    "url": "https://app.example.com/callback",
    "platform": "js",
    "settings": {"origin": "https://app.example.com"},
    "deleted_at": 1767312000,
}
APPLICATION: Fields = {
    "application_id": "app",
    "organization_id": "org",
    "region": "eu",
    "environment": "production",
    "default_workspace_id": "workspace-1",
    "v2_application_id": "v2-app",
    "domain": "app.example.com",
    "branding": {"name": "Example"},
    "hosted_authentication": {"title": "Hello", "spacing": 5},
    "idp_settings": {"issuer": "https://idp.example.com"},
    "callback_uris": [REDIRECT_URI],
    "created_at": 1767225600,
    "updated_at": 1767312000,
}
WEBHOOK: Fields = {
    "id": ID,
    "webhook_url": "https://app.example.com/webhooks/nylas",
    "trigger_types": ["grant.created", "grant.expired"],
    "description": "Grants",
    "status": "active",
    "notification_email_addresses": ["ops@example.com"],
    "compressed_delivery": True,
    "webhook_secret": "told-webhook-secret",
    "status_updated_at": 1767225600,
    "created_at": 1767225600,
    "updated_at": 1767312000,
}
IP_ADDRESSES: Fields = {"ip_addresses": ["198.51.100.1", "198.51.100.2"], "updated_at": 1767312000}
NOTIFICATION: Fields = {"specversion": "1.0", "type": "grant.expired", "data": {"object": {"grant_id": GRANT_ID}}}


def enveloped(data: object, **more: object) -> Fields:
    """Put something into the envelope that Nylas sends it in."""
    return {"request_id": "req-1", "data": data, **more}
