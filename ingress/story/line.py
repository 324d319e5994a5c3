"""One thing that happened to a grant, in plain words."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class What(StrEnum):
    """What a line tells of. Of the same moment the cause comes before what came of it, in this order."""

    EVENT = "event"
    REPORT = "report"
    EDIT = "edit"
    LINK = "link"
    SIGN_IN = "sign_in"
    CAMPAIGN = "campaign"
    RETIREMENT = "retirement"
    CHANGE = "change"
    LOOK = "look"
    CONFIRMATION = "confirmation"
    QUARANTINE = "quarantine"
    INCIDENT = "incident"
    NOTICE = "notice"
    DELIVERY = "delivery"


ORDER = {what: number for number, what in enumerate(What)}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: when, of what kind, by whom, and what.

    `before` and `after` are the grant's status around a change; `request_id` is Nylas' own. `of` is the id of the row
    that tells of it: where two lines have the same moment and kind, it keeps their order the same.
    """

    at: datetime
    kind: What
    actor: str
    what: str
    of: str
    before: str | None = None
    after: str | None = None
    request_id: str | None = None

    @property
    def place(self) -> tuple[datetime, int, str, str]:
        """Where the line stands in the story."""
        return self.at, ORDER[self.kind], self.of, self.what

    def flat(self) -> dict[str, Any]:
        """The line as a flat object."""
        return {
            "at": self.at.isoformat(),
            "kind": self.kind.value,
            "actor": self.actor,
            "what": self.what,
            "before": self.before,
            "after": self.after,
            "request_id": self.request_id,
        }


def moment(when: datetime) -> str:
    """A time as people read it, in UTC."""
    return when.strftime("%Y-%m-%d %H:%M:%S")


def because(reason: str | None) -> str:
    """The reason, after a colon; nothing where none is known."""
    return f": {reason}" if reason else ""
