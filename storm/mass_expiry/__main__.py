"""`./dev storm --mass-expiry`: let all grants of a credential expire, print one table, and exit with 1 if it broke."""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from storm.disk import said
from storm.mass_expiry.reckoning import A_SECOND, AN_HOUR, Reckoning
from storm.mass_expiry.running import mass_expiry

out = Console(highlight=False, soft_wrap=True)


def main(
    grants: Annotated[int, typer.Argument(min=20, help="How many grants expire.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=1, help="Within how long Nylas tells of all of them.")] = 60,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="On SQLite instead of PostgreSQL.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=2, help="How many workers there are.")] = 1,
    grace: Annotated[int, typer.Option(min=0, help="Seconds until a second look.")] = 120,
    keep: Annotated[Path | None, typer.Option(help="A folder to keep all logs and tables in.")] = None,
) -> None:
    """Let all grants of one credential expire at once; then see what was lost, asked, told, and how long it took."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        outcome = _run(keep, grants, seconds, workers, grace, sqlite=sqlite)
    else:
        with tempfile.TemporaryDirectory(prefix="evergrant-mass-expiry-") as name:
            Path(name).chmod(0o755)  # root's PostgreSQL runs as another user
            outcome = _run(Path(name), grants, seconds, workers, grace, sqlite=sqlite)
    out.print(table(outcome, on_postgres=not sqlite))
    broken = outcome.broken()
    for line in broken:
        out.print(f"✗ {line}", markup=False)
    out.print("THE PROMISE IS BROKEN" if broken else "the promise holds")
    raise typer.Exit(1 if broken else 0)


def _run(folder: Path, grants: int, seconds: float, workers: int, grace: int, *, sqlite: bool) -> Reckoning:
    began = time.monotonic()

    def tell(line: str) -> None:
        out.print(f"{time.monotonic() - began:5.0f} s  {line}", markup=False)

    return asyncio.run(
        mass_expiry(grants, folder, seconds=seconds, on_postgres=not sqlite, grace=grace, workers=workers, tell=tell)
    )


def table(outcome: Reckoning, *, on_postgres: bool) -> Table:
    """Show what came, what it took, and what was told."""
    shown = Table(show_header=False, box=None, pad_edge=False, title="The mass expiry", title_justify="left")
    sending = outcome.sending
    p99, on_a_good_disk, late = (
        f"{each * 1_000:.0f} ms" for each in (outcome.p99, outcome.p99_on_a_good_disk, outcome.late)
    )
    for name, value in {
        "database": "PostgreSQL" if on_postgres else "SQLite",
        "machine": f"{len(os.sched_getaffinity(0))} cores; at the end {os.getloadavg()[0]:.1f} were wanted at once",
        "webhooks taken": f"{sending.taken} of {outcome.grants} in {sending.seconds:.1f} s",
        "webhooks refused, and brought again": dict(sending.refused) or "none",
        "intake p99": f"{p99}; a timer of the senders' own was {late} late",
        "intake p99, and no stall of the disk": on_a_good_disk,
        "a small durable write meanwhile": said([took for _, took in sending.disk]),
        "events, by their ends": dict(outcome.ends),
        "settled": ", ".join(f"{what} after {took:.1f} s" for what, took in outcome.settled_after.items()),
        "grants expired": f"{outcome.expired_here}; {outcome.expired_rightly} of them are invalid at Nylas",
        "incidents": "; ".join(
            f"{one.scope} {one.subject}: {one.grants} grants by its last count, {one.holds} notices held"
            for one in outcome.incidents
        ),
        "notices heard": f"{len(outcome.heard)}, at most {outcome.heard_within(A_SECOND)} in a second and "
        f"{outcome.heard_within(AN_HOUR)} in an hour",
        "calls to Nylas": f"{outcome.calls.total()}, at most {outcome.busiest_second} in a second, "
        f"{outcome.too_many} answered by 429: {dict(outcome.calls)}",
        "memory at its most": ", ".join(f"{name} {most:.0f} MB" for name, most in outcome.memory_mb.items()),
    }.items():
        shown.add_row(name, str(value))
    return shown


if __name__ == "__main__":
    typer.run(main)
