"""The grants that are not valid, in order while they stay the same: a page of a hundred thousand costs no sort."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from simulator.timeline import Timeline

if TYPE_CHECKING:
    from simulator.books import Grant


class Ailing:
    """Keeps them apart from all others, and each order of them that was asked for until one comes or goes."""

    def __init__(self) -> None:
        self._by_id: dict[str, Grant] = {}
        self._orders: dict[tuple[Timeline, bool], list[Grant]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def put(self, grants: "Iterable[Grant]") -> None:
        """Take these in."""
        if new := {grant.id: grant for grant in grants if grant.id not in self._by_id}:
            self._by_id |= new
            self._orders.clear()

    def drop(self, grant: "Grant") -> None:
        """Let go of one, if it is here."""
        if self._by_id.pop(grant.id, None):
            self._orders.clear()

    def in_order(self, timeline: Timeline, *, newest_first: bool) -> "list[Grant]":
        """Return all of them in the order of a timeline."""
        order = timeline, newest_first
        if order not in self._orders:
            self._orders[order] = timeline.sort(self._by_id.values(), newest_first=newest_first)
        return self._orders[order]
