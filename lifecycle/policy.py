"""What one installation wants of the rules: times, numbers and limits, all in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from lifecycle.brake import BrakeLimits
from lifecycle.incidents import Thresholds
from lifecycle.reminding import DAYS, QuietHours
from lifecycle.retirement import RetirementPolicy
from lifecycle.spells import GRACE


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of the rules; `zone` is the time zone of quiet hours for whom no other is known (IANA name).

    While `bulk_yields` events wait that somebody waits for, bulk goes no further.
    """

    grace: timedelta = GRACE
    reminder_days: Sequence[int] = DAYS
    quiet: QuietHours | None = None
    zone: str = "UTC"
    thresholds: Thresholds = field(default_factory=Thresholds)
    limits: BrakeLimits = field(default_factory=BrakeLimits)
    bulk_yields: int = 1_000
    link_lifetime: timedelta = timedelta(hours=24)
    retirement: RetirementPolicy | None = None
    """None: no grant is ever deleted."""
