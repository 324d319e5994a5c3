"""The simulation of a mass expiry: nothing is lost in it, and what can be worked out by hand comes out so."""

from dataclasses import replace

import pytest

from bench.simulate import Line, Storm, simulate

SMALL = Storm(100, rate=10, interactive=0, told_within=0, grace=0, decided_after=0, latency=0)


@pytest.mark.parametrize(
    "storm",
    [SMALL, Storm(5_000), Storm(9_999, 10, interactive=30), Storm(2_000, rate=10, grace=300, decided_after=30)],
)
def test_what_arrived_is_settled_or_waits(storm: Storm) -> None:
    course = simulate(storm, moments=10_000)
    for now in course.moments:
        between = now.unseen + now.unconfirmed + now.unrenewed
        assert now.arrived == now.settled + between
    assert course.moments[-1].settled == course.moments[-1].arrived == storm.of_one


def test_a_hundred_grants_at_ten_calls_a_second_take_two_pages_and_ten_seconds() -> None:
    """Both looks are a page each, a tenth of a second apart; from the second one on, ten are renewed each second."""
    course = simulate(SMALL)
    assert course.calls == 1 + 1 + 100
    assert course.confirmed_after == pytest.approx(0.1)
    assert course.recovered_after == pytest.approx(0.1 + 10)


def test_where_more_wait_than_may_go_one_call_in_ten_is_bulks() -> None:
    course = simulate(replace(SMALL, interactive=20))
    assert course.recovered_after == pytest.approx(0.1 + 100, abs=1)


def test_bulk_goes_at_once_where_nobody_waits() -> None:
    line = Line()
    assert [line.bulk_goes(bulk=True, interactive=True) for _ in range(10)] == [False] * 9 + [True]
    assert line.bulk_goes(bulk=True, interactive=False)
    assert not line.bulk_goes(bulk=False, interactive=True)


def test_the_limit_is_each_applications_own() -> None:
    alone, among_ten = (simulate(Storm(20_000, many, interactive=0)) for many in (1, 10))
    begins = alone.storm.decided_after
    assert alone.recovered_after - begins == pytest.approx(10 * (among_ten.recovered_after - begins), rel=0.01)


def test_who_is_renewed_after_72_hours_is_counted_as_too_late() -> None:
    slow = Storm(1_000, rate=0.002, interactive=0, told_within=0, grace=0, decided_after=0, latency=0)
    course = simulate(slow)
    assert 0 < course.lost < 1_000
    assert course.lost == pytest.approx(1_000 - 72 * 3600 * slow.rate, abs=20)
