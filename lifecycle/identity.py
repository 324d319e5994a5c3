"""Whether who came back from a re-authentication is who was asked for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose account a grant is; None where Nylas didn't tell."""

    grant_id: str
    provider: str
    email: str | None = None
    provider_user_id: str | None = None


def mismatch(wanted: Identity, came: Identity) -> str | None:
    """Say in what the account that came back is another one, or None if it is the one that was asked for.

    Email addresses compare without regard to case. What is unknown on either side contradicts nothing.
    """
    if wanted.provider != came.provider:
        return f"the provider is {came.provider}, not {wanted.provider}"
    if wanted.email and came.email and wanted.email.casefold() != came.email.casefold():
        return "the email address is another one"
    known = wanted.provider_user_id, came.provider_user_id
    if all(known) and known[0] != known[1]:
        return "the provider's user id is another one"
    if wanted.grant_id != came.grant_id:
        return "it is another grant"
    return None
