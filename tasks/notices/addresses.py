"""Where notices may be sent: to the internet, and not to what only this machine or its network can reach."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

NAT64 = IPv6Network("64:ff9b::/96")
"""A gateway passes a connection to one of these on to the IPv4 address in its last 32 bits (RFC 6052)."""

REFUSED = [
    IPv6Network(network)
    for network in (
        "::/96",  # IPv4 addresses in their oldest disguise
        "64:ff9b:1::/48",  # NAT64 of a network's own
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "3fff::/20",  # for documents
    )
]

LONGEST = 2048


class NotAllowed(ValueError):
    """Notices are not sent there; the message says why."""


def is_public(host: str) -> bool:
    """Tell whether an IP address, as the system resolved it, is one that the whole internet reaches."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address in NAT64:
            address = IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.ipv4_mapped:
            address = address.ipv4_mapped
        elif address.is_site_local or any(address in network for network in REFUSED):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def checked_url(url: str, *, allow_private: bool) -> str:
    """Return the URL of an endpoint if it can be one. Raises NotAllowed.

    What its name resolves to is looked at when a connection is made, each time.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise NotAllowed(f"it can't be read as a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host or len(url) > LONGEST or not url.isprintable() or " " in url:
        raise NotAllowed("it must be a URL such as https://product.example.com/evergrant")
    if parts.username is not None or parts.password is not None:
        raise NotAllowed("it must hold no user and no password: what is sent is signed")
    if parts.fragment:
        raise NotAllowed("it must hold no fragment (#…)")
    if parts.scheme == "http" and not allow_private:
        raise NotAllowed("it must be https; http is for trials, with EVERGRANT_NOTICE_ALLOW_PRIVATE=true")
    return url
