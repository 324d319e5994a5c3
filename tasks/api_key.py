"""The API key is refused: one incident whatever many processes meet it, and no word about any grant."""

from lifecycle.incidents import Scope
from models import Incident
from nylas_api import KeyRejected, NylasError
from tasks.claiming import Claim
from tasks.context import Context
from tasks.incidents import close_incident, open_incident, the_open
from tasks.watching import watch_on

SUBJECT = "api_key"
MENDED = "Nylas takes the API key again"


async def key_refused(ctx: Context, refusal: KeyRejected) -> None:
    """Open the incident of the API key, unless it is open."""
    what = f"Nylas does not take the API key, so nothing is asked and all work waits: {refusal}"
    async with ctx.database.writing() as session:
        await open_incident(ctx, session, Scope.KEY, SUBJECT, what, now=ctx.now())


async def key_taken(ctx: Context) -> None:
    """Close it again."""
    async with ctx.database.writing() as session:
        if incident := await the_open(session, ctx, Scope.KEY, SUBJECT):
            await close_incident(session, incident, MENDED, now=ctx.now())


async def probe_key(claim: Claim[Incident]) -> None:
    """Ask Nylas something that concerns no grant.

    The process that met the refusal may be gone by the time that the key is mended: so any may close the incident.
    """
    try:
        await claim.ctx.nylas.applications.get()
    except NylasError as error:
        await watch_on(claim, str(error), request_id=error.request_id)
        return
    async with claim.settling() as (session, incidents):
        for incident in incidents:
            await close_incident(session, incident, MENDED, now=claim.ctx.now())
