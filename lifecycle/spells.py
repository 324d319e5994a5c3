"""A spell of an expired grant: from Nylas' first "invalid" to its end, and when somebody may be told of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifecycle.terms import GrantStatus, Observation

GRACE = timedelta(minutes=2)
LONGEST_GRACE = timedelta(hours=1)
CALM = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Spell:
    """One time that a grant does not work.

    `expired_at` is when it stopped working, as far as is known, and starts the 72 hours; `seen_at` our first look
    that said so; `confirm_at` when a second look may confirm it, and `confirmed_at` the look that did.
    """

    expired_at: datetime
    seen_at: datetime
    confirm_at: datetime
    confirmed_at: datetime | None = None


def grace_after(flaps: int, grace: timedelta = GRACE) -> timedelta:
    """Say how long to wait for the second look: twice as long for each time that the grant has come and gone lately."""
    return min(grace * float(2 ** min(flaps, 16)), max(grace, LONGEST_GRACE))


def flaps_now(flaps: int, recovered_at: datetime | None, now: datetime) -> int:
    """Count how often a grant has come and gone without a calm day between, as a new spell begins."""
    return flaps + 1 if recovered_at is not None and now - recovered_at < CALM else 0


def go_on(
    spell: Spell | None,
    seen: Observation,
    *,
    grace: timedelta,
    expired_at: datetime | None = None,
    authenticated_at: datetime | None = None,
) -> Spell | None:
    """Say how a spell goes on after a look: it begins, is confirmed, stays, or ends (None).

    Only a second "invalid", `grace` or more after the first, confirms it; any success before that ends it and nobody
    was told. `expired_at` is what Nylas said of the time, if anything; it is not believed if it lies ahead of the look,
    or before the last authentication: then a hint of an earlier spell came late.
    """
    if seen.status is not GrantStatus.EXPIRED:
        return None
    if spell is None:
        believed = expired_at is not None and (authenticated_at or expired_at) <= expired_at <= seen.at
        return Spell(expired_at if expired_at and believed else seen.at, seen.at, seen.at + grace)
    if spell.confirmed_at is None and seen.at >= spell.confirm_at:
        return replace(spell, confirmed_at=seen.at)
    return spell
