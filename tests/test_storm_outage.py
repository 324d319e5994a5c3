"""The long outage: a thousand grants change while nobody listens, and all are found by pages of Nylas' list."""

from pathlib import Path

import pytest

from storm.outage import outage


@pytest.mark.long
async def test_all_that_changed_while_nobody_listened_is_found_soon_after(tmp_path: Path) -> None:
    outcome = await outage(1_000, tmp_path)
    assert (outcome.changed, outcome.found, outcome.delivered) == (1_050, 1_050, 0)
    assert outcome.calls < 100, "pages, and a look at each that is gone"
    assert outcome.holds, outcome.table()
