"""What is to be told of a grant after a look: nothing before it is sure, each thing once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lifecycle.backfill import Gap, gap
from lifecycle.spells import Spell
from lifecycle.terms import GrantStatus


class Step(StrEnum):
    """What happens to the notices about a grant."""

    INTRODUCE = "introduce"
    """It is new and works."""
    PLAN = "plan"
    """It is said to have expired: a notice is written, and held until a second look."""
    CONFIRM = "confirm"
    """The second look agreed: the notice goes, and the user is asked to come back."""
    WITHDRAW = "withdraw"
    """It works after all: what was not told yet never is."""
    RECOVER = "recover"
    """It works again, and its expiry was confirmed before."""
    END = "end"
    """It was deleted."""
    KEEP_QUIET = "keep_quiet"
    """It had expired before we knew it: nobody is told, and a row says so."""


@dataclass(frozen=True, slots=True)
class Tiding:
    """One step, and for a recovery what the product has to fetch."""

    step: Step
    gap: Gap | None = None


def tiding(
    before: Spell | None,
    after: Spell | None,
    *,
    status: GrantStatus,
    was: GrantStatus | None,
    recovered_at: datetime,
    importing: bool = False,
) -> Tiding | None:
    """Say what a look leads to; None where nothing is to be told or untold.

    `was` is the status before (None: we didn't know the grant), `recovered_at` when it was authenticated last.
    While all grants are imported for the first time nobody is told of what had been so before.
    """
    if status is GrantStatus.DELETED:
        return Tiding(Step.END) if was not in (None, GrantStatus.DELETED) else None
    if after is None:
        if before is None:
            return Tiding(Step.INTRODUCE) if was is None and not importing else None
        if before.confirmed_at is None:
            return Tiding(Step.WITHDRAW)
        return Tiding(Step.RECOVER, gap(before.expired_at, recovered_at))
    if before is None:
        return Tiding(Step.KEEP_QUIET if importing and was is None else Step.PLAN)
    if before.confirmed_at is None and after.confirmed_at is not None:
        return Tiding(Step.CONFIRM)
    return None
