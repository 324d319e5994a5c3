"""The course "Webhook intake": signed notifications over 64 connections, each answered when its row is safe."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.course import Contestant, Course, Figures
from bench.events.databases import Postgres
from bench.events.figures import cpu_seconds, percentile
from bench.events.installation import WEBHOOK_SECRET, Installation
from bench.intake import bodies
from bench.intake.servers import Evergrant, EvergrantOnSqlite, Peer, Server
from ingress.embedded import start_postgres

WARM_UP = 500
PATIENCE = 60.0


class NotTheWork(Exception):
    """A contestant did something else than the work; the message says what."""


@dataclass(frozen=True, slots=True)
class Load:
    """What each contestant is loaded with: so many connections for so many seconds, after a warm-up."""

    warm_up: Path
    requests: Path
    connections: int
    seconds: float

    def play(self, file: Path, port: int) -> dict[str, Any]:
        """Play a file of requests at a port, from a process of its own."""
        how = ("--connections", str(self.connections), "--seconds", str(self.seconds))
        into = file.with_name("played.json")
        command = [sys.executable, "-m", "bench.intake.loader", str(file), str(into), "--port", str(port), *how]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=self.seconds + PATIENCE)
        if done.returncode:
            raise NotTheWork(f"the load ended early:\n{done.stderr[-800:]}")
        played: dict[str, Any] = json.loads(into.read_text())
        return played


def course(*, connections: int = 64, seconds: float = 5.0, requests: int = 100_000) -> Course:
    """Each contestant is loaded for so many seconds, or until so many requests are answered."""

    def stage() -> AbstractContextManager[Sequence[Contestant]]:
        return _stage(connections=connections, seconds=seconds, requests=requests)

    return Course(
        "Webhook intake",
        f"Signed grant.expired notifications, each a new one, over {connections} connections, "
        "answered by 200 once the row is durable",
        stage,
    )


@contextmanager
def _stage(*, connections: int, seconds: float, requests: int) -> Iterator[Sequence[Contestant]]:
    with tempfile.TemporaryDirectory(prefix="evergrant-bench-intake-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL runs as another user
        load = Load(folder / "warm-up", folder / "requests", connections, seconds)
        bodies.write(load.warm_up, range(WARM_UP), WEBHOOK_SECRET)
        bodies.write(load.requests, range(WARM_UP, WARM_UP + requests), WEBHOOK_SECRET)
        server, url = start_postgres(folder / "postgres")
        there: Installation | None = None
        try:
            there = Installation(folder)
            postgres = Postgres(url)
            servers: dict[str, Server] = {
                "Evergrant": Evergrant(there, postgres),
                "Evergrant on SQLite": EvergrantOnSqlite(there),
                "FastAPI + SQLModel, a session per request": Peer("fastapi_sync", folder, postgres),
                "FastAPI + SQLModel, an async session per request": Peer("fastapi_async", folder, postgres),
                "Starlette + asyncpg, an INSERT per request": Peer("asyncpg_insert", folder, postgres),
                "Limit: uvicorn, signature checked, nothing kept": Peer("bare", folder, postgres, keeps_rows=False),
            }
            yield [Contestant(name, _doing(server, load)) for name, server in servers.items()]
        finally:
            if there is not None:
                there.stop()
            server.stop()


def _doing(server: Server, load: Load) -> Callable[[], Figures]:
    return lambda: _run(server, load)


def _run(server: Server, load: Load) -> Figures:
    with server.serving() as serving:
        load.play(load.warm_up, serving.port)
        rows, cpu = server.rows(), cpu_seconds(serving.session)
        played = load.play(load.requests, serving.port)
        cpu = cpu_seconds(serving.session) - cpu
        rows = server.rows() - rows
    answered = int(played["statuses"].get("200", 0))
    if set(played["statuses"]) != {"200"}:
        raise NotTheWork(f"it answered {played['statuses']} (0: no answer at all)")
    if server.keeps_rows and rows != answered:
        raise NotTheWork(f"it answered {answered} times 200, and stored {rows} rows")
    return {
        "per_second": answered / played["seconds"],
        "p50_ms": percentile(played["milliseconds"], 50),
        "p99_ms": percentile(played["milliseconds"], 99),
        "cpu_ms_each": cpu * 1000 / answered,
        "rows": float(rows),
        "load_cpu_share": played["cpu_seconds"] / played["seconds"],
    }
