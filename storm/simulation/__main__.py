"""`./dev storm --simulate`: run many seeds, print what broke and how to see it again, and exit with 1 if any did."""

import os
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from storm.release import commit_here
from storm.simulation.foretold import is_foretold
from storm.simulation.running import STEPS, Result, run_side_by_side

out = Console(highlight=False, soft_wrap=True)
EVERY = 100


def main(
    seeds: Annotated[int, typer.Argument(min=1, help="How many seeds.")] = 10_000,
    seed: Annotated[int | None, typer.Option(help="This one only.")] = None,
    first: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="How many steps each has.")] = STEPS,
    lanes: Annotated[int, typer.Option(min=1, help="How many processes run seeds.")] = os.cpu_count() or 1,
) -> None:
    """Run Evergrant's own code under a simulated clock, network and database, with steps drawn from seeds."""
    began = time.monotonic()
    numbers = [seed] if seed is not None else list(range(first, first + seeds))
    broken, done, cpu = 0, 0, 0.0
    for result in run_side_by_side(numbers, lanes=lanes, steps=steps):
        done, cpu = done + 1, cpu + result.cpu
        if result.broken:
            broken += 1
            out.print(_in_words(result, steps), markup=False)
        if done % EVERY == 0:
            out.print(f"{time.monotonic() - began:5.0f} s  {done} seeds, {broken} broken", markup=False)
    out.print(f"{done} seeds of {steps} steps, {broken} broken; {cpu:.0f} s of processor time", markup=False)
    if seed is not None:
        out.print(f"trace {result.trace}", markup=False)
    raise typer.Exit(1 if broken else 0)


def _in_words(result: Result, steps: int) -> str:
    again = f"./dev storm --simulate --seed {result.seed}" + (f" --steps {steps}" if steps != STEPS else "")
    return f"seed {result.seed} at commit {commit_here()}: {again}\n{result.broken}"


if __name__ == "__main__":
    if not is_foretold():
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "storm.simulation", *sys.argv[1:]])  # noqa: S606 - ourselves, and no shell
    typer.run(main)
