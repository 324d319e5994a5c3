"""The page of the docs that tells what came of the bench."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.report import Record, head, outcome_of, rows

BEGINNING = Path(__file__).with_suffix(".md")


def page(records: Sequence[Record]) -> str:
    """The whole page, for the courses of a day."""
    lines = [BEGINNING.read_text()]
    for one in records:
        lines.extend(_section(one))
    lines.extend(_versions(records[-1]["versions"] if records else {}))
    return "\n".join(lines) + "\n"


def _section(record: Record) -> Iterator[str]:
    outcome = outcome_of(record)
    yield f"## {outcome.name}\n"
    if outcome.what:
        yield f"{outcome.what}\n"
    if outcome.failed:
        yield f"**It failed:** {_line(outcome.failed)}\n"
    if outcome.results:
        yield _row(head(outcome))
        yield _row(["---", *("---:" for _ in outcome.figures)])
        yield from map(_row, rows(outcome))
        yield ""
    failures = [f"- **{one.name}** failed in {_line(failure)}" for one in outcome.results for failure in one.failures]
    if failures:
        yield from [*failures, ""]
    if record.get("plot"):
        yield f"![{outcome.name}]({record['plot']})\n"
    machine = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record["machine"].items())
    yield f"Measured on {record['at']}, commit {record['commit']}, rounds {record['rounds']}; {machine}.\n"


def _versions(versions: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    if versions:
        yield "## Versions\n"
    for environment, found in versions.items():
        yield f"- {environment}: {', '.join(f'{name} {version}' for name, version in found.items())}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_line(cell).replace('|', '/') for cell in cells)} |"


def _line(text: str) -> str:
    return " ".join(text.split())
