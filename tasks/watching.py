"""An incident that is not over: written down how it stands, and looked at again later."""

from datetime import timedelta
from typing import Any

from lifecycle.incidents import probe_again_in
from models import Incident
from models.claims import postpone
from tasks.claiming import Claim
from tasks.incidents import tally


async def watch_on(
    claim: Claim[Incident],
    reason: str,
    *,
    wait: timedelta | None = None,
    request_id: str | None = None,
    **columns: Any,
) -> None:
    """Let go of an incident until its next look. That it lasts is no failed attempt, so none is counted."""
    now = claim.ctx.now()
    async with claim.settling() as (session, incidents):
        for incident in incidents:
            for column, value in columns.items():
                setattr(incident, column, value)
            incident.grants = max(incident.grants, (await tally(session, incident)).grants)
            incident.attempts = incident.crashes = 0
            until = now + (probe_again_in(now - incident.opened_at) if wait is None else wait)
            postpone(incident, until=until, reason=reason, request_id=request_id)
