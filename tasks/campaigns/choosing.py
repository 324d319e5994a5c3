"""Which grants a campaign is for, as a filter in SQL."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import ColumnElement, exists, func
from sqlmodel import col

from lifecycle import GrantStatus
from lifecycle.backfill import BACKFILL
from models import Grant, GrantTag
from tasks.scopes import Scope, lacks

Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.:/-]+$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Domain = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\s@%_\\]+$", to_lower=True)]


class GrantFilter(BaseModel):
    """Which grants a campaign is for. What is left out does not matter; deleted grants are never chosen.

    `expired_since` and `expired_before` are about our first look that saw it; `hours_left` about the 72 hours in which
    nothing is lost: fewer of them are left than that, but some are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Text | None = None
    status: GrantStatus | None = None
    credential_id: Text | None = None
    grant_id: Text | None = None
    expired_since: AwareDatetime | None = None
    expired_before: AwareDatetime | None = None
    missing_scope: Scope | None = None
    email_domain: Domain | None = None
    tag: Tag | None = None
    hours_left: Annotated[float, Field(gt=0, le=72)] | None = None

    def matches(self, application_id: UUID, now: datetime) -> ColumnElement[bool]:
        """The filter in SQL."""
        matching = (col(Grant.application_id) == application_id) & (col(Grant.status) != GrantStatus.DELETED)
        if self.provider:
            matching &= col(Grant.provider) == self.provider
        if self.status:
            matching &= col(Grant.status) == self.status
        if self.credential_id:
            matching &= col(Grant.credential_id) == self.credential_id
        if self.grant_id:
            matching &= col(Grant.id) == self.grant_id
        if self.expired_since:
            matching &= col(Grant.expiry_seen_at) >= self.expired_since
        if self.expired_before:
            matching &= col(Grant.expiry_seen_at) < self.expired_before
        if self.missing_scope:
            matching &= lacks(application_id, self.missing_scope)
        if self.email_domain:
            matching &= func.lower(col(Grant.email)).like(f"%@{self.email_domain}")
        if self.tag:
            matching &= exists().where(col(GrantTag.grant_id) == col(Grant.id), col(GrantTag.tag) == self.tag)
        if self.hours_left:
            ends = now + timedelta(hours=self.hours_left) - BACKFILL
            matching &= (col(Grant.expired_at) > now - BACKFILL) & (col(Grant.expired_at) <= ends)
        return matching
