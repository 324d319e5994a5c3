"""One cause, one incident: when many grants fail together, it is not they that are broken."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil

FIRST_PROBE, LAST_PROBE = timedelta(minutes=1), timedelta(minutes=10)
ENOUGH = 0.1


class Scope(StrEnum):
    """What went wrong: a credential, a connector or the application of many grants; or what stops all work alike.

    `key` is the API key with its region; `brake` says that more happened than is normal; `webhook` that Nylas'
    notifications did not come.
    """

    CREDENTIAL = "credential"
    CONNECTOR = "connector"
    APPLICATION = "application"
    KEY = "key"
    BRAKE = "brake"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many failures within `window` have one cause: a number, or a share of the cohort if it's not a handful."""

    number: int = 20
    share: float = 0.3
    handful: int = 5
    window: timedelta = timedelta(minutes=10)


def have_one_cause(failed: int, cohort: int, limits: Thresholds) -> bool:
    """Tell whether so many failures among so many grants that share something have that in common as their cause."""
    return failed >= limits.number or (failed >= limits.handful and failed >= limits.share * cohort)


def most_with_one_cause(failed: int, limits: Thresholds) -> int:
    """Return a number of grants so large that, in a larger cohort, so many failures are no share to speak of."""
    return ceil(failed / limits.share)


def probe_again_in(open_for: timedelta) -> timedelta:
    """Say how long to wait before an incident is looked at again: a minute at first, ten when it lasts."""
    return min(max(open_for / 10, FIRST_PROBE), LAST_PROBE)


def is_over(recovered: int, grants: int) -> bool:
    """Tell whether so many of an incident's grants work again that its cause is gone.

    One alone may have been mended by its own user: that says nothing of the others.
    """
    return recovered >= ENOUGH * grants


# The narrowest scope that explains the failures is the cause: one credential before its connector before everything.
NARROWEST_FIRST = (Scope.CREDENTIAL, Scope.CONNECTOR, Scope.APPLICATION)
OF_GRANTS = frozenset(NARROWEST_FIRST)
