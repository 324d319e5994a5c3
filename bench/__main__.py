"""`./dev bench`: run courses, show what came of them, and write it down."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.courses import COURSES
from bench.machine import ROOT, commit, machine, versions
from bench.report import Record, keep, outcome_of, record, table
from bench.runner import Outcome, run

out = Console()


def known(names: list[str] | None) -> list[str]:
    """Refuse courses that are not there."""
    if unknown := set(names or []) - COURSES.keys():
        raise typer.BadParameter(f"no such course: {', '.join(sorted(unknown))}; there are {', '.join(COURSES)}")
    return names or list(COURSES)


def main(
    courses: Annotated[list[str] | None, typer.Argument(help="Which courses; all, unless given.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant does the work.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="A trial: little work, one round, and nothing is written down.")
    ] = False,
    into: Annotated[Path, typer.Option(help="Where bench/results and docs are.")] = ROOT,
) -> None:
    """Measure Evergrant beside its peers, on the same work, in one run, on this machine."""
    names = known(courses)
    rounds = 1 if quick else rounds
    failed = False
    for name in names:
        about = {
            "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "commit": commit(),
            "rounds": rounds,
            "machine": machine(),
            "versions": versions(),
        }
        outcome = _run(name, rounds, quick=quick)
        out.print(*([table(outcome)] if outcome.results else []), *_failures(outcome), sep="\n", highlight=False)
        failed |= bool(_failures(outcome))
        if not quick:
            _write(record(outcome, **about), into)
    raise typer.Exit(1 if failed else 0)


def _run(name: str, rounds: int, *, quick: bool) -> Outcome:
    try:
        course = COURSES[name].course(quick=quick)
    except ImportError as error:  # an extra that is not installed is this course's trouble alone
        return Outcome(name, name, "", [], failed=f"{type(error).__name__}: {error}")
    with out.status(course.name) as status:
        return run(name, course, rounds, status.update)


def _failures(outcome: Outcome) -> list[str]:
    whole = [f"{outcome.name} failed: {outcome.failed}"] if outcome.failed else []
    return whole + [f"{result.name} failed in {failure}" for result in outcome.results for failure in result.failures]


def _write(one: Record, into: Path) -> None:
    """Write each course as soon as it is over, so that a later one that never ends takes nothing with it."""
    from bench.page import page
    from bench.plots import plot

    name = one["course"]
    if plot(outcome_of(one), into / "docs" / "bench" / f"{name}.png"):
        one["plot"] = f"bench/{name}.png"
    kept = keep([one], into / "bench" / "results" / f"{datetime.now(UTC):%Y-%m-%d}.json")
    (into / "docs" / "bench.md").write_text(page([kept[name] for name in COURSES if name in kept]))


if __name__ == "__main__":
    typer.run(main)
