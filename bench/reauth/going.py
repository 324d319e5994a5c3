"""One run of the work: a worker and whoever gives it the work, started, timed, counted, and ended."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.course import Figures
from bench.processes import cpu_seconds, peak_memory_mb, start
from bench.reauth.tables import NotDone, Tables
from bench.servers import CUSTOM, Nylas
from ingress.children import Child
from ingress.embedded import start_valkey

PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a contestant is made of.

    `worker` and `giver` are commands; `worker` prints `ready` to its log, `giver` prints `ready` to stdout, and gives
    the work when it gets a line. `done` counts the grants that are renewed in the database.
    """

    worker: Sequence[str]
    giver: Sequence[str]
    environ: Mapping[str, str]
    ready: str
    done: str


@dataclass(frozen=True, slots=True)
class Stage:
    """What all contestants share."""

    folder: Path
    tables: Tables
    nylas: Nylas
    grants: int

    @contextmanager
    def valkey(self) -> Iterator[str]:
        """A Valkey for one run."""
        server, url = start_valkey(self.folder / "valkey", keep=False)
        try:
            yield url
        finally:
            server.stop()


@dataclass(frozen=True, slots=True)
class Going:
    """A worker that runs."""

    pid: int
    check: Callable[[], None]
    """Raises NotDone if it runs no more."""


@contextmanager
def started(
    stage: Stage, command: Sequence[str], environ: Mapping[str, str], *, ready: str, name: str
) -> Iterator[Going]:
    """Run a worker, once its log says that it is ready."""
    log = stage.folder / f"{name}.log"
    log.write_text("")
    worker = Child(name, command, log=log, environ=environ)

    def check() -> None:
        if worker.ended is not None:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise NotDone(f"the worker ended with exit code {worker.ended}:\n{last}")

    try:
        worker.wait_until(lambda: ready in log.read_text(errors="replace"), seconds=60)
        yield Going(worker.process.pid, check)
    finally:
        worker.stop()


def go(stage: Stage, parts: Parts, *, name: str) -> Figures:
    """Do the work once; the time runs from the moment that it is asked for until every row says that it is done."""
    stage.nylas.forget()
    with (
        started(stage, parts.worker, parts.environ, ready=parts.ready, name=name) as worker,
        _giver(parts) as (giver, begin),
    ):
        before, began = cpu_seconds(worker.pid, giver), time.monotonic()
        begin()
        ended = stage.tables.wait_for(parts.done, stage.grants, seconds=PATIENCE, going=worker.check)
        spent, memory = cpu_seconds(worker.pid, giver) - before, peak_memory_mb(worker.pid, giver)
    calls = stage.nylas.calls().get(CUSTOM, 0)
    if calls < stage.grants:
        raise NotDone(f"every row says done, but Nylas was asked {calls} times for {stage.grants} grants")
    return {
        "per_second": stage.grants / (ended - began),
        "cpu_ms_each": spent * 1_000 / stage.grants,
        "memory_mb": memory,
        "calls": calls,
    }


@contextmanager
def _giver(parts: Parts) -> Iterator[tuple[int, Callable[[], None]]]:
    """A process that gives the work, when what is yielded is called."""
    with start(list(parts.giver), environ=dict(parts.environ)) as giver:
        assert giver.stdin is not None
        assert giver.stdout is not None
        stdin = giver.stdin
        if giver.stdout.readline().strip() != "ready":
            raise NotDone("whoever gives the work could not start")

        def begin() -> None:
            stdin.write("go\n")
            stdin.flush()

        yield giver.pid, begin
        stdin.close()
        giver.stdout.read()
