"""The sabotage: the system is broken on purpose, and a storm goes red on the promise that this breaks."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from storm.faults import FAULTS
from storm.invariants import PROMISES
from storm.sabotage.breaks import BREAKS
from storm.sabotage.replacing import Gone, replace, replacement
from storm.sabotage.trials import TRIALS, Storm, Trials, Tried, table

TARGETS = [(target, change) for replaced in BREAKS.values() for target, change in replaced.items()]
WELL: dict[int, list[str]] = {promise.number: [] for promise in PROMISES}
TRIAL = next(trial for trial in TRIALS if trial.sabotage == "a code is logged")


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_storm_goes_red_for_each_sabotage_on_the_promise_that_it_breaks(tmp_path: Path) -> None:
    trials = Trials(tmp_path, tell=lambda _: None)

    # One at a time: each is eight processes.
    storms = {trial.sabotage: await trials.sabotaged(trial) for trial in TRIALS}

    assert {sabotage: storm.wrong for sabotage, storm in storms.items() if storm.wrong} == {}
    assert [trial.sabotage for trial in TRIALS if not storms[trial.sabotage].broken[trial.promise]] == []
    assert any("secrets stand in worker-" in word for word in storms["a code is logged"].broken[7])


@pytest.mark.parametrize(("target", "change"), TARGETS, ids=[target for target, _ in TARGETS])
def test_what_is_broken_is_there_and_takes_what_its_replacement_takes(target: str, change: Callable[..., Any]) -> None:
    assert replacement(target, change)


def test_each_break_has_its_trial_with_a_fault_and_an_untimed_promise() -> None:
    untimed = {promise.number for promise in PROMISES if not promise.timed}

    assert sorted(trial.sabotage for trial in TRIALS) == sorted(BREAKS)
    assert {trial.fault for trial in TRIALS} <= {name for name, fault in FAULTS.items() if fault.sqlite}
    assert {trial.promise for trial in TRIALS} == untimed & {1, 2, 3, 4, 5, 7}


def test_a_function_is_replaced_also_for_who_imported_it_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = [ModuleType("a_module_with_a_rule"), ModuleType("a_module_that_imports_it")]
    for module in modules:
        vars(module)["is_free"] = _is_free
        monkeypatch.setitem(sys.modules, module.__name__, module)

    replace("a_module_with_a_rule:is_free", lambda _: lambda lease: True)

    assert [vars(module)["is_free"]("held") for module in modules] == [True, True]


def _is_free(lease: str | None) -> bool:
    return lease is None


async def _takes_nothing() -> None:
    """No function of ours takes so little."""


@pytest.mark.parametrize(
    ("target", "new"),
    [
        ("tasks.no_such_module:deliver", _takes_nothing),
        ("tasks.notices.delivering:no_such_function", _takes_nothing),
        ("worker.doorbell:NoSuchClass.ring", _takes_nothing),
        ("worker.doorbell:WAITING_AT_MOST", _takes_nothing),
        ("tasks.notices.delivering:attempt", _takes_nothing),
        ("worker.sweeper:sweep", lambda context: 0),
    ],
)
def test_what_can_not_be_broken_any_more_is_told_of(target: str, new: Callable[..., Any]) -> None:
    with pytest.raises(Gone, match=target):
        replacement(target, lambda _: new)


@pytest.mark.parametrize(
    ("sabotaged", "control", "verdict"),
    [
        (Storm(WELL | {7: ["a secret"]}, 9.0, 3.0), Storm(WELL | {10: ["late"]}, 9.0, 3.0), "seen"),
        (Storm(WELL | {1: ["a webhook"]}, 9.0, 3.0), Storm(WELL, 9.0, 3.0), "NOT SEEN"),
        (Storm(WELL | {7: ["a secret"]}, 9.0, 3.0), Storm(WELL | {7: ["a secret"]}, 9.0, 3.0), "NOT SEEN"),
        (Storm(WELL | {7: ["a secret"]}, 9.0, 3.0), Storm(WELL, 9.0, 3.0, "no call was struck"), "NOT SEEN"),
        (Storm(WELL | {7: ["a secret"]}, 9.0, 3.0, "web ran unbroken"), Storm(WELL, 9.0, 3.0), "NOT SEEN"),
    ],
)
def test_a_sabotage_is_seen_if_its_promise_is_broken_by_it_alone(
    sabotaged: Storm, control: Storm, verdict: str
) -> None:
    tried = Tried(TRIAL, sabotaged, control)

    assert tried.seen is (verdict == "seen")
    assert next(iter(table([tried]).columns[-1].cells)) == verdict
