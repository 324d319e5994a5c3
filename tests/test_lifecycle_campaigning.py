"""When a campaign stops itself, and whose item comes first."""

from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.campaigning import FEWEST, NO_DEADLINE, StopRule, rank_of

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("rule", "failed", "ended", "broken"),
    [
        ("5%", 5, 100, False),
        ("5%", 6, 100, True),
        ("5%", 1, 1, False),
        ("5%", FEWEST - 1, FEWEST - 1, False),
        ("5%", FEWEST, FEWEST, True),
        ("0.5%", 5, 1_000, False),
        ("0.5%", 6, 1_000, True),
        ("100%", 1_000, 1_000, False),
        ("0%", 1, 100, True),
        ("3", 3, 3, False),
        ("3", 4, 4, True),
        ("0", 1, 1, True),
    ],
)
def test_a_campaign_stops_at_more_failures_than_it_bears(rule: str, failed: int, ended: int, broken: bool) -> None:
    assert StopRule.parse(rule).is_broken(failed, ended) is broken


@pytest.mark.parametrize(
    "text", ["", "%", "5 %", "-1", "101%", "5.5", "1e3", "five", "5%%", "\u0665%", "1000000000000"]
)
def test_what_is_no_share_and_no_number_is_refused_with_both_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither a share of up to 100% \(5%\) nor a number \(100\)"):
        StopRule.parse(text)


def test_who_has_least_time_left_comes_first_and_who_has_none_last() -> None:
    expired = [None, NOON - 73 * HOUR, NOON - 72 * HOUR, NOON - 71 * HOUR, NOON - HOUR]
    ranks = [rank_of(at, NOON) for at in expired]
    assert ranks[:3] == [NO_DEADLINE] * 3
    assert ranks[3] < ranks[4] < NO_DEADLINE
    assert ranks[3] == int((NOON + HOUR).timestamp())
