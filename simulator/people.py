"""Who is behind a token, a login or a set of settings: the provider's side, made up but constant."""

import hashlib

from simulator.answers import Json

SCOPES = {
    "google": [
        "https://www.googleapis.com/auth/userinfo.email",
        "https://www.googleapis.com/auth/userinfo.profile",
        "openid",
        "https://www.googleapis.com/auth/calendar",
    ],
    "microsoft": ["Mail.ReadWrite", "Mail.Send", "Calendars.ReadWrite", "User.Read", "offline_access"],
    "yahoo": ["email", "profile", "mail-w"],
    "ews": ["ews.messages", "ews.calendars", "ews.contacts"],
}
KNOWN_BY_ALIAS = ("google", "microsoft")

NAMED_BY = ("email_address", "email", "imap_username", "username")


def scopes_of(provider: str) -> list[str]:
    """Return what a connector of this provider would ask for by default."""
    return list(SCOPES.get(provider, ()))


def owner_of(refresh_token: str) -> str:
    """Return whose provider token this is.

    Nylas asks the provider; we can't. So a token may say it after a colon, `anything:ada@example.com`;
    any other token belongs to a made-up user, always the same one.
    """
    said = refresh_token.rpartition(":")[2]
    if "@" in said:
        return said
    return f"owner-{hashlib.sha256(refresh_token.encode()).hexdigest()[:12]}@example.com"


def email_in(settings: Json) -> str | None:
    """Return whose mailbox a custom authentication is about, if its settings tell."""
    for name in NAMED_BY:
        if isinstance(email := settings.get(name), str) and email:
            return email
    token = settings.get("refresh_token")
    return owner_of(token) if isinstance(token, str) and token else None


def name_of(email: str) -> str:
    """Return a name that fits the address: `ada.byron@…` is Ada Byron."""
    return email.partition("@")[0].replace(".", " ").replace("-", " ").title()


def provider_user_id_of(email: str) -> str:
    """Return the id the provider has for this user."""
    return str(int(hashlib.sha256(email.lower().encode()).hexdigest()[:17], 16)).zfill(21)


def aliases_of(email: str) -> list[str]:
    """Return the other addresses of a mailbox: made up, like its owner."""
    local, _, domain = email.partition("@")
    return [f"{local}.alias@{domain}", f"{local[:1]}.alias@{domain}"] if domain else []


def mailbox_of(email: str, *, smtp: bool) -> Json:
    """Return the settings an IMAP login page finds out; `smtp` if sending mail is part of it."""
    domain = email.rpartition("@")[2]
    found: Json = {"imap_username": email, "imap_host": f"imap.{domain}", "imap_port": 993}
    return found | ({"smtp_host": f"smtp.{domain}", "smtp_port": 465} if smtp else {})
