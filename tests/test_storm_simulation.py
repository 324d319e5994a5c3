"""The simulation: what is promised holds in many seeds, a seed runs again exactly, and mistakes are found by few."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storm.simulation.running import a_world, run_seed
from storm.simulation.world import World
from tests import simulation_mistakes as mistakes

ROOT = Path(__file__).parent.parent
SEEDS = os.environ.get("EVERGRANT_TEST_SIMULATIONS", "20")
FEW_SEEDS, FEW_STEPS = 8, 60
TOLD = ("a_grant_expires", "a_webhook_comes", "a_worker_works", "time_passes")
RENEWED = ("a_campaign_is_asked_for", "a_worker_works", "a_worker_sweeps", "nylas_fails")
SIGNED_IN = ("a_user_leaves_for_nylas", "a_user_comes_back", "a_worker_works", "a_worker_dies_at_work", "time_passes")
ZOMBIES = ("a_worker_is_stopped_at_work", "a_stopped_worker_goes_on")

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


def test_what_is_promised_holds_in_each_seed() -> None:
    done = simulated(SEEDS, "--lanes", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} seeds of 200 steps, 0 broken" in done.stdout


def test_a_seed_runs_again_exactly() -> None:
    first, second = simulated("--seed", "7"), simulated("--seed", "7")

    assert first.stdout.splitlines()[-1].startswith("trace ")
    assert first.stdout.splitlines()[-1] == second.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("mistake", "steps", "says"),
    [
        (mistakes.ignores_the_claim_token, (*TOLD, *ZOMBIES), "that another one held"),
        (mistakes.takes_a_lost_renewal_for_done, RENEWED, "are done; Nylas has renewed it"),
        (mistakes.takes_silence_for_a_yes, (*TOLD, "the_product_is_in_trouble"), "the product never heard it"),
        (mistakes.exchanges_a_code_again, (*SIGNED_IN, "nylas_fails"), "was sent 2 times"),
        (mistakes.settles_a_notice_before_it_is_sent, (*TOLD, "a_worker_dies_at_work"), "the product never heard it"),
        (mistakes.stores_a_webhook_as_often_as_it_comes, TOLD, "has 2 rows"),
        (mistakes.takes_trouble_for_a_deletion, (*TOLD, "nylas_fails"), "was taken for deleted"),
    ],
)
def test_a_mistake_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch, mistake: mistakes.Mistake, steps: tuple[str, ...], says: str
) -> None:
    mistake(monkeypatch)
    found = (run_seed(world, number, steps=FEW_STEPS, shrink=False, only=steps).broken for number in range(FEW_SEEDS))

    assert says in next((broken for broken in found if broken), "nothing")
