"""The bounce: a few of each of the ways in which Valkey goes away, and no worker dies of it."""

import pytest

from storm.bounce import bounce


@pytest.mark.long
@pytest.mark.timeout(180)
def test_work_goes_on_after_each_bounce_and_no_worker_dies() -> None:
    bounced = bounce(3)
    assert set(bounced.seconds) == {"client kill", "restart", "pause"}
    assert bounced.deaths == 0, bounced.table()
