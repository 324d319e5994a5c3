"""Trying a credential on one of its grants, before it is let loose on all of them."""

from dataclasses import dataclass
from typing import Literal

from ingress.at_nylas import our_grants
from ingress.at_nylas.asking import in_words
from nylas_api import BulkGrant, NylasError
from worker.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Trial:
    """How it went: `ok` says that Nylas renewed the grant, `untried` that there was none to try it on."""

    outcome: Literal["ok", "failed", "untried"]
    grant_id: str | None
    in_words: str


async def try_one(runtime: Runtime, provider: str, credential_id: str) -> Trial:
    """Have one grant renewed by the credential (custom authentication): an expired one, if there is any.

    What we hold of the grant is not touched here: Nylas' webhook tells of it as of any other.
    """
    grant = await our_grants.one_of(runtime, provider=provider, credential_id=credential_id)
    if grant is None or grant.email is None:
        return Trial("untried", None, "There is no grant of it that we hold to try it on.")
    settings = BulkGrant(email_address=grant.email, credential_id=credential_id)
    try:
        answer = await runtime.context.nylas.auth.custom(provider=provider, settings=settings)
    except NylasError as error:
        return Trial("failed", grant.id, f"✗ It does not renew {grant.email} ({grant.id}): {in_words(error)}")
    if answer.data.id != grant.id:
        other = f"✗ Nylas answered for {grant.email} with another grant ({answer.data.id}) than ours ({grant.id})."
        return Trial("failed", grant.id, other)
    return Trial("ok", grant.id, f"✓ It works: Nylas renewed {grant.email} ({grant.id}).")
