"""The simulation: what is promised holds in many seeds, a seed runs again exactly, and mistakes are found by few."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from storm.simulation.ending import CRASHED
from storm.simulation.machine import Broken, Simulation
from storm.simulation.running import a_world, run_seed
from storm.simulation.world import World
from tests import simulation_mistakes as mistakes

ROOT = Path(__file__).parent.parent
SEEDS = os.environ.get("EVERGRANT_TEST_SIMULATIONS", "15")
FEW_SEEDS = 25

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The world that all seeds of this module run in."""
    with a_world() as world:
        yield world


def simulated(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run seeds in a process of their own."""
    command = [sys.executable, "-m", "storm.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_what_is_promised_holds_in_each_seed() -> None:
    done = simulated(SEEDS, "--lanes", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} seeds of 200 steps, 0 broken" in done.stdout


@pytest.mark.long
def test_a_seed_runs_again_exactly() -> None:
    first, second = simulated("--seed", "7"), simulated("--seed", "7")

    assert first.stdout.splitlines()[-1].startswith("trace ")
    assert first.stdout.splitlines()[-1] == second.stdout.splitlines()[-1]


@pytest.mark.long
@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (mistakes.takes_silence_for_a_yes, "the product never heard it"),
        (mistakes.exchanges_a_code_again, r"a code \(\S+\) was sent \d+ times"),
        (mistakes.settles_a_notice_before_it_is_sent, "the product never heard it"),
        (mistakes.stores_a_webhook_as_often_as_it_comes, "has 2 rows"),
        (mistakes.answers_before_it_is_kept, "has 0 rows"),
        (mistakes.takes_trouble_for_a_deletion, "was taken for deleted"),
    ],
)
def test_a_mistake_is_found_by_few_seeds(
    world: World, monkeypatch: pytest.MonkeyPatch, mistake: mistakes.Mistake, says: str
) -> None:
    mistake(monkeypatch)
    found = (run_seed(world, number, shrink=False).broken for number in range(FEW_SEEDS))

    assert re.search(says, next((broken for broken in found if broken), "nothing"))


@pytest.mark.parametrize("is_fenced", [True, False])
def test_who_was_stopped_past_its_lease_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_fenced: bool
) -> None:
    """Without the claim token it would settle what another one has settled meanwhile."""
    if not is_fenced:
        mistakes.ignores_the_claim_token(monkeypatch)
    state = Simulation()
    state.a_grant_expires(number=0)
    state.a_webhook_comes(number=0, times=1, dies_at=None)
    state.a_worker_is_stopped_at_work(number=0, point=6)
    state.time_passes(step=61)
    state.a_worker_sweeps(worker=0)
    state.a_worker_works(number=0, worker=0, messages=1)
    state.time_passes(step=1)

    with nullcontext() if is_fenced else pytest.raises(Broken, match="was settled again"):
        state.a_stopped_worker_goes_on(number=0)
    if is_fenced:
        state.teardown()


@pytest.mark.parametrize("is_taken_for_done", [True, False])
def test_a_renewal_that_was_lost_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_taken_for_done: bool
) -> None:
    if is_taken_for_done:
        mistakes.takes_a_lost_renewal_for_done(monkeypatch)
    state = Simulation()
    state.a_grant_expires(number=0)
    state.a_campaign_is_asked_for(grants=[0])
    state.nylas_fails(kind="timeout before", place="renewals", times=1)
    for _ in range(3):
        state.a_worker_works(number=0, worker=0, messages=1)

    with pytest.raises(Broken, match="Nylas has renewed it 0 times") if is_taken_for_done else nullcontext():
        state.teardown()


@pytest.mark.parametrize("of_a_campaign", [True, False])
def test_what_five_workers_died_at_is_retried_by_an_admin_in_the_end(world: World, *, of_a_campaign: bool) -> None:
    state = Simulation()
    state.a_grant_expires(number=0)
    if of_a_campaign:
        state.a_campaign_is_asked_for(grants=[0])
        state.a_worker_works(number=0, worker=0, messages=1)
    else:
        state.a_webhook_comes(number=0, times=1, dies_at=None)
    while not world.look.execute(CRASHED).fetchall():
        if not world.rings:
            state.time_passes(step=600)
            state.a_worker_sweeps(worker=0)
        state.a_worker_dies_at_work(number=0, worker=0, point=6)

    state.teardown()
    assert not world.look.execute(CRASHED).fetchall()
