"""The 72-hour clock: how much time is left, and which time the product has to fetch by itself."""

from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.backfill import BACKFILL, Gap, backfill_until, gap, time_left

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def test_a_reauthentication_within_72_hours_loses_nothing() -> None:
    assert backfill_until(NOON) == datetime(2026, 1, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expired_ago", "left"),
    [
        (None, 72 * HOUR),
        (timedelta(), 72 * HOUR),
        (HOUR, 71 * HOUR),
        (72 * HOUR - SECOND, SECOND),
        (72 * HOUR, timedelta()),
        (1000 * HOUR, timedelta()),
    ],
)
def test_the_time_left_runs_down_to_nothing(expired_ago: timedelta | None, left: timedelta) -> None:
    assert time_left(None if expired_ago is None else NOON - expired_ago, NOON) == left


@pytest.mark.parametrize(
    ("recovered_after", "lost"),
    [
        (timedelta(), False),
        (HOUR, False),
        (BACKFILL, False),
        (BACKFILL + SECOND, True),
        (1000 * HOUR, True),
    ],
)
def test_after_the_deadline_the_gap_is_the_whole_time_from_expiry_to_recovery(
    recovered_after: timedelta, lost: bool
) -> None:
    recovered_at = NOON + recovered_after
    assert gap(NOON, recovered_at) == (Gap(NOON, recovered_at) if lost else None)
