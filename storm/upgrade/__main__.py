"""`./dev storm --upgrade`: from the release before the last migration to this one, while work arrives."""

import random
import tempfile
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from storm.__main__ import out, storm
from storm.faults import UPGRADE, kind_of
from storm.plan import Act, Plan, Wave, make_plan
from storm.release import NoRelease, before_the_last_migration, release_of

USERS = 100


def main(
    events: Annotated[int, typer.Option(min=20, help="How many webhooks arrive, doubles not counted.")] = 1_000,
    seed: Annotated[
        int | None, typer.Option(help="The same seed makes the same plan; one is drawn unless given.")
    ] = None,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="On SQLite instead of PostgreSQL.")] = False,
    seconds: Annotated[float, typer.Option(min=5, help="How long work arrives at least.")] = 120,
    release: Annotated[
        str, typer.Option("--from", help="A commit to upgrade from; unless given, the one before the last migration.")
    ] = "",
    untimed: Annotated[
        bool, typer.Option("--untimed", help="Show promises about time, but do not go by them: the machine is busy.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="A folder to keep all logs and tables in.")] = None,
) -> None:
    """Upgrade while work arrives, with both releases at work for a while; then judge all promises."""
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    drawn = make_plan(seed, [kind_of(UPGRADE)], events=events, faults=1, seconds=seconds, users=USERS, for_long=inf)
    plan = Plan(seed, tuple(without_poison(wave) for wave in drawn.waves))
    again = f"./dev storm --upgrade --events {events} --seconds {seconds:g} --seed {seed}"
    again += (" --sqlite" if sqlite else "") + (f" --from {release}" if release else "")
    again += " --untimed" if untimed else ""
    out.print(again)
    with tempfile.TemporaryDirectory(prefix="evergrant-upgrade-") as name:
        folder = keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # root's PostgreSQL runs as another user
        try:
            old = release_of(release or before_the_last_migration(), folder)
        except NoRelease as error:
            out.print(f"The upgrade can't be run here: {error}", markup=False)
            raise typer.Exit(2) from error
        out.print(f"from {old.commit}, which is made for revision {old.revision}")
        good = storm(plan, USERS, folder, sqlite=sqlite, again=again, untimed=untimed, release=old)
    raise typer.Exit(0 if good else 1)


def without_poison(wave: Wave) -> Wave:
    """Leave out what no release reads: an earlier one may take for an event what this one sets aside."""
    return replace(wave, arrivals=tuple(one for one in wave.arrivals if one.act is not Act.POISON))


if __name__ == "__main__":
    typer.run(main)
