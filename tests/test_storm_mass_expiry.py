"""The mass expiry, small: nothing is lost, one incident comes of it, and Nylas is asked by pages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storm.mass_expiry.reckoning import Opened, Reckoning, Sending
from storm.mass_expiry.running import mass_expiry

GRANTS = 1_000


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_of_many_grants_that_expire_at_once_all_are_settled_and_one_incident_is_told(tmp_path: Path) -> None:
    outcome = await mass_expiry(
        GRANTS, tmp_path, seconds=2, on_postgres=False, grace=4, workers=1, tell=lambda line: None
    )

    assert outcome.broken(by_the_clock=False) == []
    assert [(one.scope, one.holds) for one in outcome.incidents] == [("credential", GRANTS)]
    assert [kind for kind, _ in outcome.heard] == ["incident.opened"]


def in_order() -> Reckoning:
    """A mass expiry of a hundred, at which nothing is wrong."""
    outcome = Reckoning(100, "the-one", 5_000, Sending(taken=100, answers=[(0.0, 0.01)] * 100))
    outcome.ends["done"] = outcome.expired_here = outcome.expired_rightly = 100
    outcome.incidents = [Opened("credential", "the-one", 100, 100)]
    outcome.heard = [("incident.opened", datetime(2026, 1, 1, tzinfo=UTC))]
    return outcome


def test_a_mass_expiry_at_which_nothing_is_wrong_holds_its_promises() -> None:
    assert in_order().broken() == []


def test_each_promise_of_a_mass_expiry_can_be_broken() -> None:
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    lost, twice, loud, asked, slow, large = (in_order() for _ in range(6))
    lost.sending.taken, lost.ends["done"], lost.still_open, lost.expired_rightly = 99, 98, 1, 97
    twice.incidents.append(Opened("brake", "flips", 0, 0))
    loud.heard += [("grant.expired", midnight + timedelta(minutes=n % 50)) for n in range(5_001)]
    asked.calls["GET /v3/grants/{id}"], asked.busiest_second = 200, 51
    slow.sending.answers = [(0.0, 0.2)] * 100
    large.memory_mb = {"web": 257.0}

    assert len(lost.broken()) == 4
    assert len(twice.broken()) == 1
    assert len(loud.broken()) == 2
    assert len(asked.broken()) == 2
    assert len(slow.broken()) == len(large.broken()) == 1
    assert slow.broken(by_the_clock=False) == large.broken(by_the_clock=False) == []


def test_what_a_timer_of_the_senders_was_late_is_not_held_against_the_intake() -> None:
    outcome = in_order()
    outcome.sending.answers, outcome.sending.late = [(0.0, 0.2)] * 100, [0.16] * 100
    assert outcome.broken() == []


def test_a_stall_of_the_disk_is_told_of_and_held_against_the_intake_all_the_same() -> None:
    outcome = in_order()
    outcome.sending.answers = [(at / 100, 0.4 if 50 <= at < 60 else 0.01) for at in range(100)]
    outcome.sending.disk = [(0.1, 0.0004), (0.5, 0.45)]
    assert outcome.p99_on_a_good_disk == 0.01
    assert outcome.broken() == ["99 % of webhooks were answered within 400 ms; 50 are promised"]


def test_the_busiest_second_of_the_product_slides() -> None:
    outcome = in_order()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    outcome.heard = [("grant.expired", start + timedelta(seconds=at)) for at in (0, 0.6, 1.2, 1.5, 3)]
    assert outcome.heard_within(timedelta(seconds=1)) == 3
