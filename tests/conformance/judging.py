"""What the tours show: departures that nothing explains, explanations that nothing needs, and the table."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from tests.conformance.explained import EXPLAINED, Explained, explanation
from tests.conformance.openapi import Document, Operation
from tests.conformance.tour import Tour

Rows: TypeAlias = Iterator[tuple[Operation, list[str]]]

NO_METHOD = "no method in this SDK"
NOT_REACHED = "not reached: a step failed"


def unexplained(document: Document, tour: Tour) -> list[str]:
    """Return a line for each departure of a tour that no entry of the list covers."""
    found = (departure for exchange in tour.exchanges for departure in document.departures(exchange))
    return sorted({str(departure) for departure in found if explanation(tour.client, departure) is None})


def unused(document: Document, tours: Sequence[Tour]) -> list[Explained]:
    """Return the entries of the list that no call of these tours needs."""
    needed = {
        explanation(tour.client, departure)
        for tour in tours
        for exchange in tour.exchanges
        for departure in document.departures(exchange)
    }
    return [entry for entry in EXPLAINED if entry not in needed]


def table(document: Document, tours: Sequence[Tour]) -> Rows:
    """Yield for each operation how each of the clients reached it, and last whether the simulator answered well.

    A cell is `✓` and the method that was called, or the reason why there is none.
    """
    for operation in document.operations:
        cells = [_reached(document, tour, operation) for tour in tours]
        yield operation, [*cells, _answered(document, tours, operation)]


def _reached(document: Document, tour: Tour, operation: Operation) -> str:
    called = [
        exchange.method_called
        for exchange in tour.exchanges
        if exchange.status < 400 and document.operation(exchange) == operation
    ]
    if called:
        return f"✓ {called[0]}"
    calls = (departure for exchange in tour.exchanges for departure in document.departures(exchange))
    reasons = (explanation(tour.client, departure) for departure in calls)
    instead = next((entry.reason for entry in reasons if entry and entry.instead_of == operation.id), None)
    return instead or (NO_METHOD if tour.called >= tour.methods else NOT_REACHED)


def _answered(document: Document, tours: Sequence[Tour], operation: Operation) -> str:
    answers = [
        (tour.client, exchange)
        for tour in tours
        for exchange in tour.exchanges
        if document.operation(exchange) == operation
    ]
    wrong = sorted(
        str(departure)
        for client, exchange in answers
        for departure in document.departures(exchange)
        if departure.part.startswith("answer") and explanation(client, departure) is None
    )
    if wrong:
        return wrong[0]
    return "✓" if any(exchange.status < 400 for _, exchange in answers) else "never answered with success"
