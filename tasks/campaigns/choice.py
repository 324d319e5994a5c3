"""By what way each grant of a campaign is authenticated anew, or why it can't be."""

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle import GrantStatus
from models import GrantData, KnownConnector, Way


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing is asked of Nylas, and why."""

    reason: str


def way_of(
    grant: GrantData, connectors: Mapping[str, KnownConnector], *, in_vault: Way | None, ask_users: bool
) -> Way | Skipped:
    """Choose the way of a grant: its organisation's credential, what the vault has for it, or its user, if one may ask.

    A credential that is merely the connector's own OAuth client renews nothing: by that, a user signs in.
    """
    if grant.status is GrantStatus.DELETED:
        return Skipped("the grant was deleted")
    connector = connectors.get(grant.provider)
    own = grant.credential_id and not (connector and grant.credential_id == connector.active_credential_id)
    if own and grant.email:
        return Way.CREDENTIAL
    if in_vault:
        return in_vault
    if ask_users:
        return Way.HOSTED
    if own:
        return Skipped("Nylas told no email address for it")
    if grant.credential_id:
        return Skipped("its credential is the connector's own OAuth client: only its user can sign in again")
    return Skipped("it has no credential: only its user can sign in again")
