"""Detection of a provider by an email address: `POST /v3/providers/detect`, with its parameters in the query."""

from simulator.answers import Answer, Json, bad_request, data
from simulator.asked import Asked
from simulator.state import State

DOMAINS = {
    "google": ("gmail.com", "googlemail.com"),
    "microsoft": ("outlook.com", "hotmail.com", "live.com", "msn.com", "hotmail.co.uk", "hotmail.fr", "outlook.fr"),
    "yahoo": ("yahoo.com", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "yahoo.co.jp", "ymail.com", "rocketmail.com"),
    "icloud": ("icloud.com", "me.com", "mac.com"),
    "aol": ("aol.com", "aim.com"),
    "gmx": ("gmx.com", "gmx.net", "gmx.de", "gmx.at", "gmx.ch"),
    "fastmail": ("fastmail.com", "fastmail.fm"),
    "zoho": ("zoho.com", "zohomail.com"),
    "web.de": ("web.de",),
    "mail.ru": ("mail.ru", "inbox.ru", "list.ru", "bk.ru"),
}
KIND_BY_DOMAIN = {domain: kind for kind, domains in DOMAINS.items() for domain in domains}
WITHOUT_IMAP = ("google", "microsoft")
OF_THEIR_OWN = ("google", "microsoft", "yahoo", "icloud")


async def detect_provider(state: State, asked: Asked) -> Answer:
    """Say which provider an address is at, by its domain alone.

    Only providers with a connector count, unless `all_provider_types` is asked for. Where there is none
    of its own, a mailbox that can be had by IMAP is one of provider `imap`, and its `type` says whose.
    """
    email = asked.query.get("email", "")
    _, at, domain = email.rpartition("@")
    if not at or not domain:
        raise bad_request("email is required, and must be an address")
    found: Json = {"email_address": email, "detected": False}
    kind = KIND_BY_DOMAIN.get(domain.lower())
    counted = [*OF_THEIR_OWN, "imap"] if asked.flag("all_provider_types") else list(state.connectors.by_provider)
    if kind in OF_THEIR_OWN and kind in counted:
        found |= {"detected": True, "provider": kind}
    elif kind and kind not in WITHOUT_IMAP and "imap" in counted:
        found |= {"detected": True, "provider": "imap", "type": kind}
    return data(found)
