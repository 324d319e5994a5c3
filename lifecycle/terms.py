"""The words of a grant's life: its status, what we hold of it, what we saw, what changes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GrantStatus(StrEnum):
    """How a grant stands, as far as we know.

    Nylas itself knows `valid` and `invalid` (and no record at all); `suspect` is ours: a hint says that the
    grant may be dead, and nobody has asked Nylas yet.
    """

    VALID = "valid"
    SUSPECT = "suspect"
    EXPIRED = "expired"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Standing:
    """What we hold of a grant: its status and flag, and the moment of the look that they rest on."""

    status: GrantStatus
    blocked: bool
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    """What Nylas said about a grant when we looked.

    `at` is the moment *before* we asked, so what was true later than `at` is not contradicted by it. It is never
    Nylas' `updated_at`, which is the time of the last authentication.
    """

    status: GrantStatus
    at: datetime
    blocked: bool = False

    @classmethod
    def of(cls, *, is_valid: bool | None, blocked: bool, at: datetime) -> "Observation | None":
        """Read Nylas' `grant_status`: the one place where its words become ours.

        `is_valid` is None where Nylas sent a status that we don't know, or none: that is no observation.
        """
        if is_valid is None:
            return None
        return cls(GrantStatus.VALID if is_valid else GrantStatus.EXPIRED, at, blocked)

    @classmethod
    def gone(cls, *, at: datetime) -> "Observation":
        """Nylas has no record of the grant (404): it was deleted."""
        return cls(GrantStatus.DELETED, at)


@dataclass(frozen=True, slots=True)
class Change:
    """How a grant moves on: where it stood (None: we did not know it), and where it stands now."""

    old: Standing | None
    new: Standing
