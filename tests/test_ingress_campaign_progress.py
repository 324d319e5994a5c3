"""How fast a campaign goes, and which ids a shortened one may mean."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from ingress.campaign_lists import between
from ingress.campaign_progress import Pace
from models.columns import new_id

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_prefix_is_a_range_of_ids() -> None:
    low, high = between("0197b0a1-5f") or (UUID(int=0), UUID(int=0))
    assert (str(low)[:11], str(high)[:11]) == ("0197b0a1-5f", "0197b0a1-5f")
    assert between(str(new_id()) + "0") is None


def test_the_pace_is_that_of_the_last_minute() -> None:
    pace = Pace()
    assert pace.of(0, NOW) == 0
    assert pace.of(100, NOW + timedelta(seconds=10)) == 10
    assert pace.of(100, NOW + timedelta(seconds=20)) == 5
    assert pace.of(130, NOW + timedelta(seconds=85)) == 0
    assert pace.of(160, NOW + timedelta(seconds=95)) == 3
