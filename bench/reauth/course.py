"""The course: a few thousand grants re-authenticated, by Evergrant, by its peers, and by nobody but a client."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.course import Contestant, Course, Figures
from bench.reauth.evergrant import evergrant, seed
from bench.reauth.going import Parts, Stage, go
from bench.reauth.limits import bare, wrk
from bench.reauth.others import PEERS, Peer, parts_of
from bench.reauth.tables import Tables
from bench.servers import nylas
from ingress.embedded import start_postgres

IN_FLIGHT = (50, 100, 200, 400)
TRIAL = 5  # a peer's concurrency is found by this part of the work, as some need minutes for the whole
LONG_ENOUGH = 20.0  # seconds; a peer that needs longer for the whole does as much as takes so long, at least this part


def course(*, grants: int = 3_000, latency_ms: int = 20) -> Course:
    """The course for so many grants, at a Nylas that takes so long."""
    return Course(
        name=f"Bulk re-authentication, Nylas at {latency_ms} ms",
        what=(
            f"{grants:,} grants in PostgreSQL, all invalid. For each one: read its row, call "
            "`POST /v3/connect/custom`, write its row. One worker each; the time runs from the moment the work is "
            "asked for until every row says that it is done. A peer that would need much more than 20 s renews as many "
            "as it does in that time, and a fifth at least: its calls tell how many. CPU and memory are of the worker "
            "and of the process that gives it the work."
        ),
        stage=partial(_stage, grants, latency_ms),
    )


@contextmanager
def _stage(grants: int, latency_ms: int) -> Iterator[Sequence[Contestant]]:
    with tempfile.TemporaryDirectory(prefix="evergrant-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user
        server, url = start_postgres(folder / "postgres")
        try:
            with nylas(grants=grants, latency_ms=latency_ms, log=folder / "nylas.log") as stand_in:
                stage = Stage(folder, Tables(url), stand_in, grants)
                seed(stage)
                stage.tables.fill_for_peers(grants)
                yield [
                    Contestant("Evergrant", Swept(partial(_go, stage, "evergrant", evergrant), IN_FLIGHT)),
                    *(_peer(stage, peer) for peer in PEERS),
                    Contestant("limit: a bare loop, httpx on aiohttp", Swept(partial(bare, stage, "httpx"), IN_FLIGHT)),
                    Contestant("limit: a bare loop, aiohttp", Swept(partial(bare, stage, "aiohttp"), IN_FLIGHT)),
                    Contestant("limit: the stand-in for Nylas, by wrk", Swept(partial(wrk, stage), IN_FLIGHT)),
                ]
        finally:
            server.stop()


class Swept:
    """Runs with the number of calls in flight that was best at the first round, when each is tried."""

    def __init__(
        self, run: Callable[[int], Figures], concurrencies: Sequence[int], trial: Callable[[int], Figures] | None = None
    ) -> None:
        """`trial` is what it is tried by, if that is less than the whole work."""
        self._run, self._concurrencies, self._trial = run, concurrencies, trial or run
        self._best: int | None = None
        self.speed = 0.0
        """How many a second it did when it was tried."""

    def __call__(self) -> Figures:
        """Do the work once."""
        if self._best is None:
            self._best = self._found()
        return self._run(self._best) | {"concurrency": self._best}

    def _found(self) -> int:
        speeds = {concurrency: self._trial(concurrency)["per_second"] for concurrency in self._concurrencies}
        best = max(speeds, key=lambda concurrency: speeds[concurrency])
        self.speed = speeds[best]
        return best


def _peer(stage: Stage, peer: Peer) -> Contestant:
    make = partial(parts_of, peer)
    least = max(1, stage.grants // TRIAL)

    def in_time(concurrency: int) -> Figures:
        grants = min(stage.grants, max(least, round(swept.speed * LONG_ENOUGH)))
        return _go(replace(stage, grants=grants), peer.module, make, concurrency)

    swept = Swept(in_time, peer.concurrencies, partial(_go, replace(stage, grants=least), peer.module, make))
    return Contestant(peer.name, swept)


def _go(stage: Stage, name: str, make: Callable[[Stage, str, int], Parts], concurrency: int) -> Figures:
    stage.tables.renew(stage.grants)
    with stage.valkey() as redis:
        return go(stage, make(stage, redis, concurrency), name=name)
