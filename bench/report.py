"""What came of the bench, as a table and as a file of figures."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.runner import Outcome, Result

SETTINGS = {"concurrency"}  # what a contestant ran with, which nothing can be said of by a ratio

Record = dict[str, Any]
"""A course in the file of figures: its outcome, with the machine, the versions and the commit that it is of."""


def record(outcome: Outcome, **about: Any) -> Record:
    """Put an outcome down for the file."""
    return asdict(outcome) | about


def outcome_of(record: Mapping[str, Any]) -> Outcome:
    """Read an outcome back."""
    fields = {name: record[name] for name in Outcome.__slots__}
    return Outcome(**fields | {"results": [Result(**result) for result in record["results"]]})


def keep(records: Iterable[Record], path: Path) -> dict[str, Record]:
    """Write the records into a day's file, in place of older ones of the same courses.

    Returns the newest of each course, of that day or of an earlier one whose file lies beside it.
    """
    today = _kept(path) | {record["course"]: record for record in records}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(today, indent=1) + "\n")
    newest: dict[str, Record] = {}
    for day in sorted(path.parent.glob(f"*{path.suffix}")):
        newest |= _kept(day)
    return newest


def _kept(day: Path) -> dict[str, Record]:
    kept: dict[str, Record] = json.loads(day.read_text()) if day.exists() else {}
    return kept


def table(outcome: Outcome) -> Table:
    """A course for the terminal: medians, with the least and the most of the rounds, and ratios to the first."""
    shown = Table(title=outcome.name, title_justify="left")
    for number, cell in enumerate(head(outcome)):
        shown.add_column(cell, justify="right" if number else "left")
    for row in rows(outcome):
        shown.add_row(*row)
    return shown


def number(value: float) -> str:
    """A figure as people read it."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def head(outcome: Outcome) -> list[str]:
    """The columns of a course's table."""
    return ["", *(figure.replace("_", " ") for figure in outcome.figures)]


def rows(outcome: Outcome) -> Iterator[list[str]]:
    """The rows of it, one for each contestant."""
    for result in outcome.results:
        yield [result.name, *(_cell(result, figure, outcome.results[0]) for figure in outcome.figures)]


def _cell(result: Result, figure: str, first: Result) -> str:
    """The median; between which values it lies, if they differ; how many times the first one's it is, if it isn't."""
    values, middle = result.values(figure), result.median(figure)
    if middle is None:
        return "" if result.rounds else "failed"
    least, most = number(min(values)), number(max(values))
    cell = number(middle) if least == most else f"{number(middle)} ({least} to {most})"
    ratio = result.ratio(figure, first)
    if result is first or ratio is None or ratio == 1 or figure in SETTINGS:
        return cell
    return f"{cell}, {number(ratio)} x"
