"""`./dev storm`: let it happen, print one table, and exit with 1 if a promise was broken or a fault did not fire."""

import asyncio
import random
import tempfile
import time
from math import inf
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from storm.faults import kinds
from storm.plan import Plan, make_plan
from storm.release import Release
from storm.running import Terms, run
from storm.table import faults_table, held, table

out = Console(highlight=False, soft_wrap=True)
EVENTS_A_USER, FEWEST_USERS = 6, 50


def main(
    events: Annotated[int, typer.Option(min=20, help="How many webhooks arrive, doubles not counted.")] = 10_000,
    faults: Annotated[int, typer.Option(min=0, help="How many faults strike.")] = 60,
    seed: Annotated[
        int | None, typer.Option(help="The same seed makes the same plan; one is drawn unless given.")
    ] = None,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="On SQLite instead of PostgreSQL.")] = False,
    seconds: Annotated[float, typer.Option(min=5, help="How long work arrives at least.")] = 300,
    minutes: Annotated[float, typer.Option(min=0, help="The same in minutes, for a soak.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option(help="Only faults whose name has this in it; may be given again.")
    ] = None,
    untimed: Annotated[
        bool, typer.Option("--untimed", help="Show promises about time, but do not go by them: the machine is busy.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="A folder to keep all logs and tables in.")] = None,
) -> None:
    """Let everything that can die do so while work arrives; then count what was lost or done twice."""
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    seconds = minutes * 60 or seconds
    users = max(FEWEST_USERS, events // EVENTS_A_USER)
    chosen = [kind for kind in kinds(on_postgres=not sqlite) if not only or any(part in kind.name for part in only)]
    if not chosen:
        raise typer.BadParameter("there is no such fault on this database")
    plan = make_plan(
        seed,
        chosen,
        events=events,
        faults=faults,
        seconds=seconds,
        users=users,
        for_long=inf if only else None,
    )
    again = f"./dev storm --events {events} --faults {faults} --seconds {seconds:g} --seed {seed}"
    again += (" --sqlite" if sqlite else "") + "".join(f" --only '{part}'" for part in only or ())
    again += " --untimed" if untimed else ""
    out.print(again)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        good = storm(plan, users, keep, sqlite=sqlite, again=again, untimed=untimed)
    else:
        with tempfile.TemporaryDirectory(prefix="evergrant-storm-") as name:
            Path(name).chmod(0o755)  # root's PostgreSQL runs as another user
            good = storm(plan, users, Path(name), sqlite=sqlite, again=again, untimed=untimed)
    raise typer.Exit(0 if good else 1)


def storm(
    plan: Plan,
    users: int,
    folder: Path,
    *,
    sqlite: bool,
    again: str,
    untimed: bool = False,
    release: Release | None = None,
) -> bool:
    """Let the storm of a plan happen, and print its tables; say whether all promises held."""
    began = time.monotonic()

    def tell(line: str) -> None:
        out.print(f"{time.monotonic() - began:5.0f} s  {line}", markup=False)

    outcome = asyncio.run(run(plan, users, folder, Terms(on_postgres=not sqlite, release=release), tell=tell))
    out.print(faults_table(outcome))
    out.print(table(outcome, on_postgres=not sqlite, again=again, untimed=untimed))
    return held(outcome, untimed=untimed)


if __name__ == "__main__":
    typer.run(main)
