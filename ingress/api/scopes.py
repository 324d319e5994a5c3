"""What a token of the API may be good for."""

from enum import StrEnum


class TokenScope(StrEnum):
    """A scope of a token. `admin` holds the others as well; none of those holds another."""

    READ = "read"
    """To read grants, their stories, incidents, campaigns, notices and events."""
    GRANTS = "grants"
    """To act on single grants: report a failure, say where its user is told, give out and revoke links."""
    CAMPAIGNS = "campaigns"
    """To start campaigns, and to steer them."""
    ADMIN = "admin"
    """All of it."""


def allows(held: list[str], wanted: TokenScope) -> bool:
    """Tell whether a token with these scopes may do what needs that one."""
    return TokenScope.ADMIN in held or wanted in held
