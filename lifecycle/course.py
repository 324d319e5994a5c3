"""The course of a grant from look to look: its spells, how often it came and went, and what is to be told of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifecycle.spells import Spell, flaps_now, go_on, grace_after
from lifecycle.terms import GrantStatus, Observation
from lifecycle.tidings import Tiding, tiding


@dataclass(frozen=True, slots=True)
class Course:
    """Where a grant is: its spell if it is in one, its flaps, and when it was seen to have recovered last."""

    spell: Spell | None = None
    flaps: int = 0
    recovered_at: datetime | None = None


def move_on(
    course: Course,
    seen: Observation,
    *,
    was: GrantStatus | None,
    grace: timedelta,
    expired_at: datetime | None = None,
    authenticated_at: datetime | None = None,
    importing: bool = False,
) -> tuple[Course, Tiding | None]:
    """Say where a grant is after a look, and what that leads to.

    `was` is its status before (None: we did not know it); `expired_at` what Nylas said of the time of an expiry;
    `authenticated_at` its last authentication. What a first import finds expired counts as confirmed: nobody is told.
    """
    before = course.spell
    flaps = flaps_now(course.flaps, course.recovered_at, seen.at) if before is None else course.flaps
    after = go_on(
        before, seen, grace=grace_after(flaps, grace), expired_at=expired_at, authenticated_at=authenticated_at
    )
    if importing and was is None and after:
        after = replace(after, confirm_at=after.seen_at, confirmed_at=after.seen_at)
    signed_in = seen.at
    if before and authenticated_at and authenticated_at >= before.expired_at:
        signed_in = authenticated_at  # else it recovered by itself, and we know no better than that we saw it
    told = tiding(before, after, status=seen.status, was=was, recovered_at=signed_in, importing=importing)
    recovered = before is not None and seen.status is GrantStatus.VALID
    return Course(after, flaps if after else course.flaps, seen.at if recovered else course.recovered_at), told
