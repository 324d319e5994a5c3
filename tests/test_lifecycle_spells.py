"""Spells of expired grants: how one begins, is confirmed and ends, and how those that flap are damped."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import GrantStatus, Observation, Spell
from lifecycle.spells import CALM, GRACE, LONGEST_GRACE, flaps_now, go_on, grace_after

VALID, SUSPECT, EXPIRED, DELETED = GrantStatus
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
SEEN = Spell(NOON, NOON, NOON + 2 * MINUTE)
CONFIRMED = replace(SEEN, confirmed_at=NOON + 2 * MINUTE)


def saw(status: GrantStatus, after: timedelta = timedelta()) -> Observation:
    """What a look shows, so long after noon."""
    return Observation(status, NOON + after)


@pytest.mark.parametrize(
    ("spell", "seen", "after"),
    [
        (None, saw(VALID), None),
        (None, saw(DELETED), None),
        (None, saw(EXPIRED), SEEN),
        (SEEN, saw(VALID, MINUTE), None),
        (SEEN, saw(DELETED, MINUTE), None),
        (SEEN, saw(EXPIRED, MINUTE), SEEN),
        (SEEN, saw(EXPIRED, 2 * MINUTE - SECOND), SEEN),
        (SEEN, saw(EXPIRED, 2 * MINUTE), CONFIRMED),
        (SEEN, saw(EXPIRED, 60 * MINUTE), replace(SEEN, confirmed_at=NOON + 60 * MINUTE)),
        (CONFIRMED, saw(EXPIRED, 90 * MINUTE), CONFIRMED),
        (CONFIRMED, saw(VALID, 90 * MINUTE), None),
        (CONFIRMED, saw(DELETED, 90 * MINUTE), None),
    ],
)
def test_a_spell_begins_is_confirmed_by_a_second_look_and_ends(
    spell: Spell | None, seen: Observation, after: Spell | None
) -> None:
    assert go_on(spell, seen, grace=2 * MINUTE) == after


@pytest.mark.parametrize(
    ("told", "authenticated_at", "expired_at"),
    [
        (None, None, NOON),
        (NOON - MINUTE, None, NOON - MINUTE),
        (NOON, None, NOON),
        (NOON + SECOND, None, NOON),
        (NOON - MINUTE, NOON - 9 * MINUTE, NOON - MINUTE),
        (NOON - MINUTE, NOON - MINUTE, NOON - MINUTE),
        (NOON - 9 * MINUTE, NOON - MINUTE, NOON),
    ],
)
def test_what_nylas_says_of_the_time_is_believed_if_it_can_be_so(
    told: datetime | None, authenticated_at: datetime | None, expired_at: datetime
) -> None:
    """Not ahead of the look, and not before the last authentication: such a hint is of an earlier spell."""
    spell = go_on(None, saw(EXPIRED), grace=GRACE, expired_at=told, authenticated_at=authenticated_at)
    assert spell == Spell(expired_at, NOON, NOON + GRACE)


def test_a_spell_that_goes_on_keeps_the_time_it_began() -> None:
    for spell in (SEEN, CONFIRMED):
        later = go_on(spell, saw(EXPIRED, 9 * MINUTE), grace=GRACE, expired_at=NOON - 9 * MINUTE)
        assert later is not None
        assert (later.expired_at, later.seen_at, later.confirm_at) == (SEEN.expired_at, SEEN.seen_at, SEEN.confirm_at)


@pytest.mark.parametrize(
    ("flaps", "grace", "minutes"),
    [
        (0, GRACE, 2),
        (1, GRACE, 4),
        (2, GRACE, 8),
        (4, GRACE, 32),
        (5, GRACE, 60),
        (10**9, GRACE, 60),
        (0, timedelta(), 0),
        (9, timedelta(), 0),
        (0, timedelta(hours=3), 180),
        (9, timedelta(hours=3), 180),
    ],
)
def test_the_grace_doubles_with_each_flap_up_to_an_hour_or_the_setting(
    flaps: int, grace: timedelta, minutes: int
) -> None:
    assert grace_after(flaps, grace) == minutes * MINUTE


@given(flaps=st.integers(0, 10**6), grace=st.timedeltas(timedelta(), timedelta(days=1)))
def test_a_grace_is_never_less_than_the_setting_and_never_shrinks(flaps: int, grace: timedelta) -> None:
    assert grace <= grace_after(flaps, grace) <= grace_after(flaps + 1, grace) <= max(grace, LONGEST_GRACE)


@pytest.mark.parametrize(
    ("flaps", "recovered_ago", "now"),
    [
        (0, None, 0),
        (7, None, 0),
        (0, MINUTE, 1),
        (3, timedelta(), 4),
        (3, CALM - SECOND, 4),
        (3, CALM, 0),
        (3, timedelta(days=30), 0),
    ],
)
def test_a_flap_is_a_spell_that_begins_within_a_day_of_a_recovery(
    flaps: int, recovered_ago: timedelta | None, now: int
) -> None:
    recovered_at = None if recovered_ago is None else NOON - recovered_ago
    assert flaps_now(flaps, recovered_at, NOON) == now


looks = st.lists(st.tuples(st.integers(1, 300), st.sampled_from([VALID, EXPIRED, DELETED])), max_size=30)


@given(looks=looks, grace=st.integers(0, 600))
def test_a_confirmation_has_only_invalid_looks_before_it_for_the_whole_grace(
    looks: list[tuple[int, GrantStatus]], grace: int
) -> None:
    spell, at, unbroken_since = None, NOON, None
    for seconds, status in looks:
        at += timedelta(seconds=seconds)
        unbroken_since = None if status is not EXPIRED else unbroken_since or at
        spell = go_on(spell, Observation(status, at), grace=timedelta(seconds=grace))
        assert (spell is None) == (unbroken_since is None)
        if spell and spell.confirmed_at:
            assert unbroken_since is not None
            assert spell.seen_at == unbroken_since
            assert spell.confirmed_at > spell.seen_at
            assert spell.confirmed_at - spell.seen_at >= timedelta(seconds=grace)
