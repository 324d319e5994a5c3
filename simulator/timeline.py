"""Grants in the order of one of their times, so that a page of a million costs no sort."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.books import Grant

SHELF = 2_000


class Timeline:
    """Shelves of grants, each sorted and no longer than twice `SHELF`.

    One long list would do as well, but for the million places that each sign-in then had to move.
    """

    def __init__(self, moment: str) -> None:
        self._moment = attrgetter(moment)
        self._place = attrgetter(moment, "number")
        self._shelves: list[list[Grant]] = []

    def add(self, grant: "Grant") -> None:
        """Put a grant in its place."""
        if not self._shelves:
            self._shelves.append([grant])
            return
        # Most are the newest of all.
        at = self._shelf(grant) if self._place(grant) < self._place(self._shelves[-1][0]) else len(self._shelves) - 1
        shelf = self._shelves[at]
        insort(shelf, grant, key=self._place)
        if len(shelf) > 2 * SHELF:
            self._shelves[at : at + 1] = [shelf[:SHELF], shelf[SHELF:]]

    def add_many(self, grants: "Iterable[Grant]") -> None:
        """Put many in their places, and all others in order again, with one sort."""
        everyone = [grant for shelf in self._shelves for grant in shelf]
        everyone.extend(grants)
        # Two sorts by a number each cost less, in time and in memory, than one by pairs of them.
        everyone.sort(key=attrgetter("number"))
        everyone.sort(key=self._moment)
        self._shelves = [everyone[first : first + SHELF] for first in range(0, len(everyone), SHELF)]

    def remove(self, grant: "Grant") -> None:
        """Take a grant out, while its time is still the one it was put in with."""
        at = self._shelf(grant)
        shelf = self._shelves[at]
        del shelf[bisect_left(shelf, self._place(grant), key=self._place)]
        if not shelf:
            del self._shelves[at]

    def walk(
        self, *, since: int | None = None, before: int | None = None, newest_first: bool = False, skip: int = 0
    ) -> "Iterator[Grant]":
        """Yield the grants from one second to another, both included, without the first few."""
        for shelf in reversed(self._shelves) if newest_first else self._shelves:
            first = 0 if since is None else bisect_left(shelf, since, key=self._moment)
            last = len(shelf) if before is None else bisect_right(shelf, before, key=self._moment)
            length = max(0, last - first)
            if skip >= length:
                skip -= length
                continue
            places = range(last - 1 - skip, first - 1, -1) if newest_first else range(first + skip, last)
            skip = 0
            yield from map(shelf.__getitem__, places)

    def sort(self, grants: "Iterable[Grant]", *, newest_first: bool) -> "list[Grant]":
        """Return these few in the order of the timeline."""
        return sorted(grants, key=self._place, reverse=newest_first)

    def _shelf(self, grant: "Grant") -> int:
        """Return which shelf a grant belongs on: the last that does not begin after it."""
        return max(0, bisect_right(self._shelves, self._place(grant), key=lambda shelf: self._place(shelf[0])) - 1)
