"""Scopes: what a user has granted, against what the connector wants."""

from collections.abc import Iterable

GRAPH = "https://graph.microsoft.com/"
SAME = {
    "email": "https://www.googleapis.com/auth/userinfo.email",
    "profile": "https://www.googleapis.com/auth/userinfo.profile",
}
"""Google's short names of OpenID Connect, and the long ones that it reports."""

SPELT_IN_SEVERAL_WAYS = ("google", "microsoft")

NO_PERMISSION = frozenset({"offline_access"})
"""It asks for a refresh token, and Microsoft does not list it among what was granted."""


def missing(wanted: Iterable[str], granted: Iterable[str], *, provider: str) -> tuple[str, ...]:
    """Return those of the wanted scopes that were not granted, as they were wanted, in their order.

    Microsoft's may be written short or as a Graph address, in any case; Google's `email` and `profile` are the
    same as their long forms.
    """
    held = {_plain(scope, provider) for scope in granted}
    return tuple(scope for scope in wanted if scope not in NO_PERMISSION and _plain(scope, provider) not in held)


def spellings(scope: str, provider: str) -> frozenset[str]:
    """Return how a provider may spell a scope; in lower case where it `ignores_case`."""
    plain = _plain(scope, provider)
    match provider:
        case "microsoft":
            return frozenset({plain, GRAPH + plain})
        case "google":
            return frozenset({plain, *(short for short, long in SAME.items() if long == plain)})
        case _:
            return frozenset({plain})


def ignores_case(provider: str) -> bool:
    """Say whether a provider's scopes mean the same in any case of letters."""
    return provider == "microsoft"


def _plain(scope: str, provider: str) -> str:
    match provider:
        case "microsoft":
            return scope.casefold().removeprefix(GRAPH)
        case "google":
            return SAME.get(scope, scope)
        case _:
            return scope
