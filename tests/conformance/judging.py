"""What the tours show: departures that nothing explains, explanations that nothing needs, and the table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from tests.conformance.explained import EXPLAINED, Explained, explanation
from tests.conformance.openapi import Departure, Document, Operation
from tests.conformance.tour import Tour

Rows: TypeAlias = Iterator[tuple[Operation, list[str]]]

NO_METHOD = "no method in this SDK"
NOT_REACHED = "not reached: a step failed"


@dataclass(frozen=True, slots=True)
class Judged:
    """A recorded call beside the document: each departure with what explains it."""

    method_called: str
    operation: Operation | None
    succeeded: bool
    departures: tuple[tuple[Departure, Explained | None], ...]


@cache
def judged(document: Document, tour: Tour) -> tuple[Judged, ...]:
    """Read each call of a tour beside the document, once."""
    return tuple(
        Judged(
            exchange.method_called,
            document.operation(exchange),
            exchange.status < 400,
            tuple((one, explanation(tour.client, one)) for one in document.departures(exchange)),
        )
        for exchange in tour.exchanges
    )


def unexplained(document: Document, tour: Tour) -> list[str]:
    """Return a line for each departure of a tour that no entry of the list covers."""
    found = (one for call in judged(document, tour) for one in call.departures)
    return sorted({str(departure) for departure, entry in found if entry is None})


def unused(document: Document, tours: Sequence[Tour]) -> list[Explained]:
    """Return the entries of the list that no call of these tours needs."""
    needed = {entry for tour in tours for call in judged(document, tour) for _, entry in call.departures}
    return [entry for entry in EXPLAINED if entry not in needed]


def table(document: Document, tours: Sequence[Tour]) -> Rows:
    """Yield for each operation how each of the clients reached it, and last whether the simulator answered well.

    A cell is `✓` and the method that was called, or the reason why there is none.
    """
    for operation in document.operations:
        cells = [_reached(document, tour, operation) for tour in tours]
        yield operation, [*cells, _answered(document, tours, operation)]


def _reached(document: Document, tour: Tour, operation: Operation) -> str:
    for call in judged(document, tour):
        if call.succeeded and call.operation == operation:
            return f"✓ {call.method_called}"
    entries = (entry for call in judged(document, tour) for _, entry in call.departures)
    instead = next((entry.reason for entry in entries if entry and entry.instead_of == operation.id), None)
    return instead or (NO_METHOD if tour.called >= tour.methods else NOT_REACHED)


def _answered(document: Document, tours: Sequence[Tour], operation: Operation) -> str:
    calls = [call for tour in tours for call in judged(document, tour) if call.operation == operation]
    for call in calls:
        for departure, entry in call.departures:
            if entry is None and departure.part.startswith("answer"):
                return str(departure)
    return "✓" if any(call.succeeded for call in calls) else "never answered with success"
