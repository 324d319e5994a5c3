"""How long whoever takes nothing is let rest: longer each time, never long, and never less than they asked for."""

from datetime import timedelta
from itertools import pairwise

import pytest

from lifecycle.patience import PATIENCE, pause

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("failing_for", "told", "expected"),
    [
        (0 * SECOND, None, 5 * SECOND),
        (8 * SECOND, None, 5 * SECOND),
        (20 * SECOND, None, 10 * SECOND),
        (20 * MINUTE, None, 10 * MINUTE),
        (60 * MINUTE, None, 30 * MINUTE),
        (PATIENCE, None, 30 * MINUTE),
        (0 * SECOND, 20 * SECOND, 20 * SECOND),
        (60 * MINUTE, 20 * SECOND, 30 * MINUTE),
        (0 * SECOND, 7 * 24 * 60 * MINUTE, 60 * MINUTE),
    ],
)
def test_the_pause(failing_for: timedelta, told: timedelta | None, expected: timedelta) -> None:
    assert pause(failing_for, chance=0.5, told=told) == expected


def test_chance_moves_it_by_a_quarter_so_that_a_crowd_does_not_come_back_at_once() -> None:
    assert pause(PATIENCE, chance=0) == 22.5 * MINUTE
    assert pause(PATIENCE, chance=0.999999) < 37.5 * MINUTE


def test_over_three_days_that_is_some_hundred_and_fifty_attempts_each_later_than_the_last() -> None:
    times = [timedelta()]
    while times[-1] < PATIENCE:
        times.append(times[-1] + pause(times[-1], chance=0.5))
    assert 130 < len(times) < 170
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == sorted(waits)
