"""A storm's plan: all of it follows from the seed, and each kind of fault has its turn."""

from collections import Counter

import pytest

from storm.faults import FAULTS, UPGRADE, kinds
from storm.plan import STRIKES_WITHIN, WEBHOOKS, Act, Kind, Plan, make_plan

KINDS = [Kind("short", 1.0), Kind("other", 2.0), Kind("with a campaign", 1.0, with_campaign=True), Kind("long", 20.0)]


def planned(seed: int = 1, *, events: int = 1_000, faults: int = 9, seconds: float = 60.0) -> Plan:
    return make_plan(seed, KINDS, events=events, faults=faults, seconds=seconds, users=50)


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert planned(7) == planned(7)
    assert planned(7) != planned(8)


def test_as_many_webhooks_and_faults_come_as_were_asked_for_and_the_first_and_last_wave_are_calm() -> None:
    plan = planned()

    assert (plan.webhooks, len(plan.strikes), len(plan.waves)) == (1_000, 9, 11)
    assert (plan.waves[0].strike, plan.waves[-1].strike) == (None, None)


def test_every_kind_has_its_turn_before_one_comes_again() -> None:
    counted = Counter(strike.kind for strike in planned(faults=4).strikes)
    assert counted == {kind.name: 1 for kind in KINDS}


def test_long_faults_come_once_and_again_only_while_half_of_the_time_is_left_for_them() -> None:
    for seconds, times in ((30, 1), (60, 1), (100, 2)):
        assert Counter(strike.kind for strike in planned(faults=12, seconds=seconds).strikes)["long"] == times


def test_with_fewer_faults_than_kinds_long_ones_come_only_within_half_of_the_time() -> None:
    for seconds, times in ((30, {0}), (60, {0, 1})):
        plans = [planned(seed, faults=3, seconds=seconds) for seed in range(10)]
        assert {Counter(strike.kind for strike in plan.strikes)["long"] for plan in plans} == times


@pytest.mark.parametrize("on_postgres", [True, False])
def test_a_storm_of_the_usual_length_has_faults_of_all_kinds(on_postgres: bool) -> None:
    all_kinds = kinds(on_postgres=on_postgres)
    plan = make_plan(4, all_kinds, events=10_000, faults=60, seconds=300, users=1_000)
    assert {strike.kind for strike in plan.strikes} == {kind.name for kind in all_kinds}


def test_where_no_fault_is_short_enough_there_is_no_plan() -> None:
    with pytest.raises(ValueError, match="no kind of fault"):
        make_plan(1, KINDS[3:], events=20, faults=2, seconds=10, users=5)


def test_a_fault_of_renewals_has_a_campaign_in_its_wave() -> None:
    for wave in planned().waves:
        if wave.strike and wave.strike.kind == "with a campaign":
            assert Act.CAMPAIGN in [arrival.act for arrival in wave.arrivals]


def test_in_a_long_storm_too_a_fault_strikes_while_the_campaign_of_its_wave_begins() -> None:
    plan = planned(faults=60, seconds=1_800)
    assert all(strike.after <= STRIKES_WITHIN for strike in plan.strikes)
    assert max(strike.after for strike in plan.strikes) > STRIKES_WITHIN / 2


def test_a_fifth_is_doubled_a_fifth_comes_late_and_a_hundredth_is_poison() -> None:
    arrivals = [one for wave in planned(events=10_000).waves for one in wave.arrivals if one.act in WEBHOOKS]
    shares = [
        sum(one.doubled for one in arrivals) / len(arrivals),
        sum(one.late > 0 for one in arrivals) / len(arrivals),
        sum(one.act is Act.POISON for one in arrivals) / len(arrivals),
    ]
    assert shares == [pytest.approx(0.2, abs=0.02), pytest.approx(0.2, abs=0.02), pytest.approx(0.01, abs=0.005)]


def test_arrivals_of_a_wave_come_in_the_order_of_their_times() -> None:
    for wave in planned().waves:
        assert [one.after for one in wave.arrivals] == sorted(one.after for one in wave.arrivals)


def test_each_database_has_faults_of_its_own_and_none_of_the_other() -> None:
    on_postgres, on_sqlite = ({kind.name for kind in kinds(on_postgres=which)} for which in (True, False))

    assert {name for name in on_sqlite if name.startswith("postgres")} == set()
    assert {name for name in on_postgres if name.startswith("sqlite")} == set()
    assert on_postgres | on_sqlite == set(FAULTS) - {UPGRADE}
