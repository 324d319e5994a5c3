"""`./dev storm --kills`: kill the work at each point, print a table, and exit with 1 if a case does not converge."""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from storm.kills.case import Result
from storm.kills.kinds import Kind
from storm.kills.matrix import Row, as_table, databases, kinds_for, run_row
from storm.kills.points import Point

out = Console(highlight=False, soft_wrap=True)


def main(
    sqlite: Annotated[bool, typer.Option("--sqlite", help="On SQLite only.")] = False,
    postgres: Annotated[bool, typer.Option("--postgres", help="On PostgreSQL only.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only what has this in `kind: point`; may be given again.")
    ] = None,
    every: Annotated[bool, typer.Option("--every", help="Each point at every time that it is passed.")] = False,
    lanes: Annotated[int, typer.Option(min=1, help="How many cases run at the same time.")] = os.cpu_count() or 2,
) -> None:
    """Kill the work at each point that it passes, and see whether another process brings it to the right end."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="evergrant-kills-") as name:
        Path(name).chmod(0o755)  # root's PostgreSQL runs as another user
        both = sqlite == postgres
        rows = asyncio.run(
            _run(Path(name), only or [], sqlite=sqlite or both, postgres=postgres or both, every=every, lanes=lanes)
        )
    out.print(as_table(rows))
    out.print(f"{time.monotonic() - began:.0f} s")
    if not any(row.results for row in rows):
        raise typer.BadParameter("there is no such point")
    raise typer.Exit(0 if all(row.holds for row in rows) else 1)


async def _run(folder: Path, only: list[str], *, sqlite: bool, postgres: bool, every: bool, lanes: int) -> list[Row]:
    def wanted(kind: Kind, point: Point) -> bool:
        return not only or any(part in f"{kind.name}: {point}" for part in only)

    rows = list[Row]()
    async with databases(folder, sqlite=sqlite, postgres=postgres) as those:
        for on in those:
            for kind in kinds_for(only):

                def tell(result: Result, on_name: str = on.name) -> None:
                    if result.broken or not result.fired:
                        out.print(_in_words(result, on_name), markup=False)

                row = await run_row(kind, on, wanted=wanted, every=every, lanes=lanes, tell=tell)
                tell(row.undisturbed)
                out.print(f"{on.name}, {kind.name}: {row.converged} of {len(row.results)} converged", markup=False)
                rows.append(row)
    return rows


def _in_words(result: Result, database: str) -> str:
    where = f"{database}: --only '{result.kind}: {result.fatal}'" if result.fatal else f"{database}: {result.kind}"
    return "\n    ".join([where, *(result.broken or ["its point was not passed"])])


if __name__ == "__main__":
    typer.run(main)
