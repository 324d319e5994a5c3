"""`./dev conformance`: run the tours, say what is wrong, and print who reaches which operation of Nylas' OpenAPI."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.conformance import judging, tours
from tests.conformance.node_sdk import NoNode
from tests.conformance.openapi import document
from tests.conformance.tour import Tour


def main() -> int:
    """Return 1 if anything is not as it should be, 2 if there is no document."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    ran = [tours.client_tour(), tours.python_tour()]
    try:
        ran.append(tours.node_tour())
    except NoNode as reason:
        console.print(f"[yellow]{reason}")
    wrong = [line for tour in ran for line in _went_wrong(tour)]
    try:
        nylas = document()
    except LookupError as missing:
        console.print(*wrong, missing, sep="\n", markup=False)
        return 2
    wrong += [f"{tour.client}: {line}" for tour in ran for line in judging.unexplained(nylas, tour)]
    if len(ran) == 3:
        wrong += [f"explained, but no call needs it: {entry}" for entry in judging.unused(nylas, ran)]
    console.print(_drawn(judging.table(nylas, ran), ran))
    for line in wrong:
        console.print(line, markup=False, style="red")
    calls = sum(len(tour.exchanges) for tour in ran)
    console.print(f"{calls} calls recorded; {len(wrong)} things are not as they should be.")
    return 1 if wrong else 0


def _went_wrong(tour: Tour) -> list[str]:
    failed = [f"{tour.client}: {outcome.step}\n{outcome.problem}" for outcome in tour.outcomes if outcome.problem]
    return failed + [f"{tour.client}: {method} was never called" for method in sorted(tour.methods - tour.called)]


def _drawn(rows: judging.Rows, ran: list[Tour]) -> Table:
    drawn = Table(title="Nylas' OpenAPI, auth part", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("Operation", *(tour.client for tour in ran), "simulator"):
        drawn.add_column(name, overflow="fold")
    for operation, cells in rows:
        drawn.add_row(f"{operation.verb} {operation.path}", *cells)
    return drawn


sys.exit(main())
