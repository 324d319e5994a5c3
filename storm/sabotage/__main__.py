"""`./dev storm --sabotage`: break the system in each way, and exit with 1 if a short storm does not see it."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from storm.sabotage.trials import TRIALS, Trial, Trials, Tried, table

out = Console(highlight=False, soft_wrap=True)


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="Only sabotage whose name has this in it; may be given again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same short storms.")] = 1,
    keep: Annotated[Path | None, typer.Option(help="A folder to keep all logs and tables in.")] = None,
) -> None:
    """Break the system on purpose, in one way after the other; each time a storm must go red on the right promise."""
    chosen = [trial for trial in TRIALS if not only or any(part in trial.sabotage for part in only)]
    if not chosen:
        raise typer.BadParameter("there is no such sabotage")
    if keep:
        keep.mkdir(parents=True)
        tried = asyncio.run(_try_all(chosen, keep, seed))
    else:
        with tempfile.TemporaryDirectory(prefix="evergrant-sabotage-") as name:
            tried = asyncio.run(_try_all(chosen, Path(name), seed))
    out.print(table(tried))
    raise typer.Exit(0 if all(one.seen for one in tried) else 1)


async def _try_all(chosen: Sequence[Trial], folder: Path, seed: int) -> list[Tried]:
    began = time.monotonic()

    def tell(line: str) -> None:
        out.print(f"{time.monotonic() - began:5.0f} s  {line}", markup=False)

    trials = Trials(folder, tell, seed)
    return [await trials.judge(trial) for trial in chosen]


if __name__ == "__main__":
    typer.run(main)
