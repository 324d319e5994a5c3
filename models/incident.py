"""An incident: many grants that fail for one cause, or something that stops all work alike."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from lifecycle.incidents import Scope
from models.claims import Claimable, due_index
from models.columns import words


class Incident(Claimable, table=True):
    """One incident. While it is open it is due again and again: then its canary grant is looked at.

    `subject` names the credential, the provider, or what the brake stopped. Of one subject at most one is open:
    `settled_at` is when it was closed, `reason` why. `what` says in plain words what happened.
    """

    __table_args__ = (
        due_index("incident"),
        sa.Index(
            "uq_incident_open",
            "application_id",
            "scope",
            "subject",
            unique=True,
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        ),
    )

    application_id: UUID = Field(foreign_key="application.id")
    scope: Scope = Field(sa_type=words(Scope))
    subject: str = Field(max_length=128)
    what: str
    opened_at: datetime
    grants: int = 0
    canary: str | None = Field(default=None, max_length=128)
    probed_at: datetime | None = None
    since: datetime | None = None
    """From when on a grant that was seen to expire belongs to it; for a webhook that was silent: from when on what it
    said is in doubt."""
    until: datetime | None = None
