"""The course "Event to settled state": single events on an idle system, and then a flood of them."""

import base64
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from bench.course import Contestant, Course, Figures
from bench.events.databases import Postgres
from bench.events.figures import percentile
from bench.events.flood import Flood
from bench.events.installation import Installation
from bench.events.singles import Singles
from ingress.children import Child, accepts, free_port
from ingress.embedded import start_postgres

TEMPLATE = "evergrant_template"
CREDENTIAL = "service-account"


def course(*, events: int = 10_000, singles: int = 120, latency_ms: int = 20) -> Course:
    """So many grants expire at once, and before that so many are told of one by one."""

    def stage() -> AbstractContextManager[Sequence[Contestant]]:
        return _stage(events=events, singles=singles, latency_ms=latency_ms)

    return Course(
        "Event to settled state",
        f"{singles} single grant.created webhooks on an idle system, each until the product has its grant.valid; "
        f"{events} stored grant.expired events until all are settled; Nylas answers after {latency_ms} ms",
        stage,
        better=frozenset({"settled_per_second"}),
    )


@contextmanager
def _stage(*, events: int, singles: int, latency_ms: int) -> Iterator[Sequence[Contestant]]:
    with tempfile.TemporaryDirectory(prefix="evergrant-bench-events-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL runs as another user
        server, url = start_postgres(folder / "postgres")
        notices = Notices(folder)
        there: Installation | None = None
        try:
            there = Installation(folder, latency_ms=latency_ms, environ=notices.settings)
            postgres = Postgres(url)
            there.start_simulator()
            known = _prepare(there, postgres.fresh(TEMPLATE), events)
            strangers = there.sim("POST", "seed", {"grants": singles, "status": "valid"})["grants"]
            flood, single = Flood(there, known), Singles(there, notices.port, strangers)
            yield [Contestant("Evergrant", partial(_run, there, postgres, single, flood))]
        finally:
            if there is not None:
                there.stop()
            notices.child.stop()
            server.stop()


class Notices:
    """The product's endpoint, as a process, and what Evergrant is told of it."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self.port = free_port()
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.settings = {
            "EVERGRANT_NOTICE_URL": f"http://127.0.0.1:{self.port}/notices",
            "EVERGRANT_NOTICE_SECRET": secret,
            "EVERGRANT_NOTICE_ALLOW_PRIVATE": "true",
        }
        command = [sys.executable, "-m", "bench.events.receiver", "--port", str(self.port)]
        log = folder / "receiver.log"
        self.child = Child("receiver", command, log=log, environ={**os.environ, "BENCH_SECRET": secret})
        self.child.wait_until(lambda: accepts(self.port), seconds=30)


def _prepare(there: Installation, database_url: str, grants: int) -> list[str]:
    """Let Evergrant know grants as valid, and then let Nylas call them invalid, without a word to anybody."""
    there.command("migrate", database_url=database_url)
    seed = {"grants": grants, "status": "valid", "credential_id": CREDENTIAL}
    known: list[str] = there.sim("POST", "seed", seed)["grants"]
    there.command("sync", database_url=database_url)
    there.sim("POST", f"credentials/{CREDENTIAL}/break", {"expire_grants": True})
    return known


def _run(there: Installation, postgres: Postgres, singles: Singles, flood: Flood) -> Figures:
    url = postgres.fresh("evergrant", template=TEMPLATE)
    there.start_web(url)
    there.start_worker(url)
    try:
        time.sleep(1.0)  # what they do once, after their start, is done then
        took = sorted(singles.run())
        seconds, calls = flood.run(url)
    finally:
        there.end("worker", "web")
    return {
        "settled_per_second": flood.events / seconds,
        "settled_all_seconds": seconds,
        "nylas_calls": float(calls),
        "created_to_notice_p50_ms": percentile(took, 50),
        "created_to_notice_p99_ms": percentile(took, 99),
    }
