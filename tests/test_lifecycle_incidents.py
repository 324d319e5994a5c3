"""When failures have one cause, when that is over, and how much is normal in an hour: as tables of cases."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from lifecycle.brake import Braked, BrakeLimits, room_left
from lifecycle.incidents import Thresholds, have_one_cause, is_over, most_with_one_cause, probe_again_in

USUAL = Thresholds()


@pytest.mark.parametrize(
    ("failed", "cohort", "limits", "one_cause"),
    [
        (0, 0, USUAL, False),
        (19, 1_000, USUAL, False),
        (20, 1_000_000, USUAL, True),
        (25, 25, USUAL, True),
        (4, 4, USUAL, False),  # all of them, and yet a handful
        (5, 5, USUAL, True),
        (5, 16, USUAL, True),
        (5, 17, USUAL, False),
        (6, 20, USUAL, True),
        (6, 21, USUAL, False),
        (3, 1_000, Thresholds(number=3), True),
        (2, 1_000, Thresholds(number=3), False),
        (19, 19, Thresholds(share=1.0), True),
        (18, 19, Thresholds(share=1.0), False),
        (99, 1_000, Thresholds(number=500, share=0.1), False),
        (100, 1_000, Thresholds(number=500, share=0.1), True),
    ],
)
def test_many_failures_or_a_share_of_the_cohort_have_one_cause(
    failed: int, cohort: int, limits: Thresholds, one_cause: bool
) -> None:
    assert have_one_cause(failed, cohort, limits) is one_cause


@given(failed=integers(0, 10_000), share=floats(0.001, 1), larger=integers(1, 10_000))
def test_so_many_failures_are_no_share_of_a_cohort_that_is_larger_than_it_can_be(
    failed: int, share: float, larger: int
) -> None:
    limits = Thresholds(number=failed + 1, share=share)
    assert not have_one_cause(failed, most_with_one_cause(failed, limits) + larger, limits)


@pytest.mark.parametrize(
    ("open_for", "wait"),
    [(0, 1), (1, 1), (10, 1), (20, 2), (60, 6), (100, 10), (60 * 24 * 7, 10)],
)
def test_an_incident_is_looked_at_each_minute_at_first_and_each_ten_when_it_lasts(open_for: int, wait: int) -> None:
    assert probe_again_in(timedelta(minutes=open_for)) == timedelta(minutes=wait)


@pytest.mark.parametrize(
    ("recovered", "grants", "over"),
    [
        (0, 0, True),  # all that it was about were deleted
        (0, 5, False),
        (1, 5, True),
        (1, 11, False),
        (2, 20, True),
        (2, 25, False),
        (3, 25, True),
        (25, 25, True),
        (999, 10_000, False),
        (1_000, 10_000, True),
    ],
)
def test_one_grant_of_many_that_works_again_does_not_end_an_incident(recovered: int, grants: int, over: bool) -> None:
    assert is_over(recovered, grants) is over


@pytest.mark.parametrize(
    ("done", "limit", "left"),
    [(0, 100, 100), (99, 100, 1), (100, 100, 0), (250, 100, 0), (0, 0, None), (1_000_000, 0, None)],
)
def test_a_limit_leaves_room_for_the_rest_of_it_and_none_leaves_all(done: int, limit: int, left: int | None) -> None:
    assert room_left(done, limit) == left


@pytest.mark.parametrize(("kind", "limit"), [(Braked.FLIPS, 20_000), (Braked.NOTICES, 5_000), (Braked.DELETIONS, 100)])
def test_each_kind_of_work_has_a_limit_of_its_own(kind: Braked, limit: int) -> None:
    assert BrakeLimits().of(kind) == limit
    assert BrakeLimits(flips=1, notices=2, deletions=3).of(kind) == list(Braked).index(kind) + 1
