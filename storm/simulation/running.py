"""Running seeds: hypothesis draws the steps of each, and makes those of one that fails as few as it can."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from traceback import format_exception_only

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from storm.simulation.machine import Simulation
from storm.simulation.world import World

STEPS = 200
A_PART = 25


@dataclass(frozen=True, slots=True)
class Result:
    """How the run of a seed ended: what is `broken`, with the steps that led there, or nothing."""

    seed: int
    broken: str | None
    trace: str
    """Two runs with the same trace passed the same points at the same moments."""
    cpu: float


@contextmanager
def a_world() -> Iterator[World]:
    """A world to run seeds in; there is one at a time."""
    with World() as world:
        Simulation.world = world
        yield world


def run_seed(world: World, number: int, *, steps: int = STEPS, shrink: bool = True) -> Result:
    """Run a seed."""
    began = time.process_time()
    told = settings(
        max_examples=1,
        stateful_step_count=steps,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine = type("OfOneRun", (Simulation,), {})  # hypothesis notes the seed in the class
    seed(number)(machine)
    broken = None
    try:
        run_state_machine_as_test(machine, settings=told)
    except Exception as error:
        broken = "".join(format_exception_only(error)).strip()
    return Result(number, broken, world.trace.hexdigest(), time.process_time() - began)


def run_seeds(numbers: Sequence[int], *, steps: int = STEPS, shrink: bool = True) -> Iterator[Result]:
    """Run seeds one after the other, in this process."""
    with a_world() as world:
        for number in numbers:
            yield run_seed(world, number, steps=steps, shrink=shrink)


def run_side_by_side(numbers: Sequence[int], *, lanes: int, steps: int = STEPS) -> Iterator[Result]:
    """Run seeds in several processes; the results come in the order of the seeds."""
    if lanes == 1 or len(numbers) == 1:
        yield from run_seeds(numbers, steps=steps)
        return
    parts = [numbers[start : start + A_PART] for start in range(0, len(numbers), A_PART)]
    with ProcessPoolExecutor(lanes, mp_context=get_context("spawn")) as pool:
        for results in pool.map(_part, parts, [steps] * len(parts)):
            yield from results


def _part(numbers: Sequence[int], steps: int) -> list[Result]:
    return list(run_seeds(numbers, steps=steps))
