"""One cause, one incident: when many grants fail together, it is not they that are broken."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


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
    """How many failures within `window` have one cause: a number, or a share of the cohort, but never a handful."""

    number: int = 20
    share: float = 0.3
    handful: int = 5
    window: timedelta = timedelta(minutes=10)


def have_one_cause(failed: int, cohort: int, limits: Thresholds) -> bool:
    """Tell whether so many failures among so many grants that share something have that in common as their cause."""
    if failed < limits.handful:
        return False
    return failed >= limits.number or failed >= limits.share * cohort


# The narrowest scope that explains the failures is the cause: one credential before its connector before everything.
NARROWEST_FIRST = (Scope.CREDENTIAL, Scope.CONNECTOR, Scope.APPLICATION)
