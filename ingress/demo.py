"""The demo: the main job, done before the reader's eyes on a Nylas that runs on this machine."""

import asyncio
import subprocess
import sys
import time

import typer

from ingress import demo_acts
from ingress.children import DidNotStart
from ingress.embedded import NoServer
from ingress.stage import Stage, run, stage
from ingress.terminal import out as console


def demo(*, on_postgres: bool) -> None:
    """Run the demo; the exit code is 0 only if all went as it should."""
    began = time.monotonic()
    database = "PostgreSQL" if on_postgres else "SQLite"
    console.print(f"\n[bold]Evergrant[/]: {database}, Valkey, a simulated Nylas, web, worker and beat start …")
    try:
        with stage(on_postgres=on_postgres) as there:
            console.print(
                f"[dim]up after {time.monotonic() - began:.1f} s, web at {there.web}, Nylas at {there.nylas}[/]"
            )
            _play(there)
        console.print(
            f"\n[green]All as it should be[/], in {time.monotonic() - began:.0f} s; everything is stopped again.\n"
        )
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        raise typer.Exit(130) from None
    except (NoServer, DidNotStart) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None


def _play(there: Stage) -> None:
    try:
        people = asyncio.run(demo_acts.sign_in(there, console))
        asyncio.run(demo_acts.expire(there, console, people))
        asyncio.run(demo_acts.seed(there, console))
        run(there.environ, "sync")
        console.print(f"$ evergrant reauth --credential {demo_acts.CREDENTIAL} --yes", style="bold", markup=False)
        run(there.environ, "reauth", "--credential", demo_acts.CREDENTIAL, "--yes")
        asyncio.run(demo_acts.tell(there, console, people))
        console.print(f"\n$ evergrant grants why {people[1].email}", style="bold", markup=False)
        sys.stdout.flush()
        run(there.environ, "grants", "why", people[1].email)
    except (demo_acts.NotAsItShouldBe, subprocess.CalledProcessError) as error:
        console.print(f"\nNot as it should be: {error}\n{there.last_words()}", style="red", markup=False)
        raise typer.Exit(1) from None
