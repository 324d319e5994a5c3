"""The commands about quarantine: accounts that came back in another's place, until an admin decides."""

from sqlalchemy import select
from sqlmodel import col

from ingress.grant_lists import find_grant, flat
from ingress.terminal import agree, fail, put_json, put_table, say
from lifecycle import GrantStatus
from models import Grant
from nylas_api import NylasError
from tasks.arrivals import accept
from tasks.looking import look_at
from worker.runtime import Runtime


async def list_quarantined(runtime: Runtime, *, limit: int, as_json: bool) -> None:
    """Print the grants that are in quarantine, and why, those that we know longest first."""
    wanted = select(Grant).where(
        col(Grant.application_id) == runtime.application.id,
        col(Grant.quarantined).is_not(None),
        col(Grant.status) != GrantStatus.DELETED,
    )
    async with runtime.context.database.reading() as session:
        grants = (await session.scalars(wanted.order_by(col(Grant.first_seen_at), col(Grant.id)).limit(limit))).all()
    if as_json:
        put_json([flat(grant) | {"quarantined": grant.quarantined} for grant in grants])
    else:
        columns = ("grant_id", "email", "provider", "status", "because")
        put_table(None, columns, ((one.id, one.email, one.provider, one.status, one.quarantined) for one in grants))


async def release(runtime: Runtime, name: str, *, yes: bool) -> None:
    """Accept a grant as whose it is now, after a look at Nylas; asks first, since notices go then."""
    context, grant = runtime.context, await find_grant(runtime, name)
    if grant.quarantined is None:
        fail(f"Grant {grant.id} is not in quarantine. (evergrant grants quarantined)")
    look = await look_at(context, grant.id)
    if isinstance(look, NylasError):
        fail(f"Nylas could not be asked whose it is now, so it stays in quarantine: {look}")
    now_of = f"{look.record.email} ({look.record.provider})" if look.record else "nobody: Nylas deleted it"
    say(f"Grant {grant.id} is in quarantine: {grant.quarantined}. By Nylas it is now of {now_of}.")
    agree("Accept it, and let your product be told of it?", yes=yes)
    async with context.database.writing() as session:
        accepted = await accept(context, session, look, source="cli", now=context.now())
    say("Released." if accepted else "Somebody else has released it meanwhile.")
