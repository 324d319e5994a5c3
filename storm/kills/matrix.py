"""The matrix: each kind of work, killed at each point that it passes, on either database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from storm.kills.case import Change, Result, run_case
from storm.kills.ground import Databases, PostgresDatabases, SqliteFiles, a_postgres
from storm.kills.kinds import KINDS, Kind
from storm.kills.points import Point

FEWEST = 40
"""How many cases each kind of work has on each database, or more."""
TRIES = 3
"""How often a case is run whose point was not passed this time: what goes on side by side has no fixed order."""


@dataclass(slots=True)
class Row:
    """One kind of work on one database."""

    database: str
    undisturbed: Result
    results: list[Result] = field(default_factory=list)
    wanted: int = 0
    """How many cases there are to be."""

    @property
    def kind(self) -> str:
        """The kind's name."""
        return self.undisturbed.kind

    @property
    def converged(self) -> int:
        """How many cases came to the right end."""
        return sum(result.fired and not result.broken for result in self.results)

    @property
    def holds(self) -> bool:
        """Whether all of them did, and the run in which nobody died as well."""
        return not self.undisturbed.broken and self.converged == len(self.results) == self.wanted


@asynccontextmanager
async def databases(folder: Path, *, sqlite: bool, postgres: bool) -> AsyncIterator[list[Databases]]:
    """The databases that are wanted, ready for cases."""
    wanted = list[Databases]([SqliteFiles(folder)] if sqlite else [])
    if not postgres:
        for one in wanted:
            await one.prepare()
        yield wanted
        return
    async with a_postgres(folder) as url:
        wanted.append(PostgresDatabases(url))
        for one in wanted:
            await one.prepare()
        yield wanted


def chosen(points: Sequence[Point], *, every: bool) -> list[Point]:
    """Each point at the first time that it is passed, in that order; or at every time.

    Where these are too few, some are passed for the second time as well.
    """
    if every:
        return list(points)
    too_few = FEWEST - sum(point.time == 1 for point in points)
    again = {point for point in points if point.time == 2 and point.name.startswith("after")}
    more = sorted(again, key=points.index)[: max(0, too_few)]
    return [point for point in points if point.time == 1 or point in more]


async def run_row(
    kind: Kind,
    on: Databases,
    *,
    wanted: Callable[[Kind, Point], bool] = lambda _kind, _point: True,
    every: bool = False,
    lanes: int = 2,
    change: Change | None = None,
    tell: Callable[[Result], None] = lambda _: None,
) -> Row:
    """Run a kind undisturbed, and then once for each point that it passed; not if it is not well even so."""
    row = Row(on.name, await run_case(kind, on))
    if row.undisturbed.broken:
        return row
    points = chosen(row.undisturbed.points, every=every)
    left = [point for point in points if wanted(kind, point)][::-1]
    row.wanted = len(left) if len(left) < len(points) else max(FEWEST, len(left))

    async def in_lane(lane: int) -> None:
        while left:
            result = await _killed(kind, on, lane, left.pop(), row.undisturbed, change)
            row.results.append(result)
            tell(result)

    async with asyncio.TaskGroup() as group:
        for lane in range(lanes):
            group.create_task(in_lane(lane))
    return row


async def _killed(
    kind: Kind, on: Databases, lane: int, fatal: Point, undisturbed: Result, change: Change | None
) -> Result:
    for _ in range(TRIES):
        result = await run_case(kind, on, lane=lane, fatal=fatal, undisturbed=undisturbed.said, change=change)
        if result.fired:
            break
    return result


def kinds_for(only: Iterable[str]) -> list[Kind]:
    """The kinds that have something to do with what is wanted: all, unless a kind's name is part of it."""
    named = [kind for kind in KINDS if any(part.startswith(kind.name) for part in only)]
    return named or list(KINDS)


def as_table(rows: Sequence[Row]) -> Table:
    """What came of it."""
    table = Table(title="Killed at each point, and gone on with by another process", title_justify="left")
    table.add_column("kind of work")
    table.add_column("database")
    for name in ("names", "points", "cases", "fired", "converged", "calls again", "told twice", "asked to sign in"):
        table.add_column(name, justify="right")
    for row in rows:
        points, results = row.undisturbed.points, row.results
        counts = (
            len({point.name for point in points}),
            len(points),
            len(results),
            sum(result.fired for result in results),
            row.converged,
            sum(result.repeated for result in results),
            sum(result.told_twice for result in results),
            sum(result.given_up for result in results),
        )
        table.add_row(row.kind, row.database, *map(str, counts))
    cases, good = sum(len(row.results) for row in rows), sum(row.converged for row in rows)
    table.caption = f"{good} of {cases} cases converged"
    return table
