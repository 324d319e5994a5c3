"""The demo's stage: everything on this machine, in a folder of its own that goes away with it."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp

from ingress.children import Child, accepts, free_port, stop_all
from ingress.embedded import start_postgres, start_valkey
from ingress.supervisor import Supervisor

# Made anew for each run: nothing outside this machine ever sees it.
WEBHOOK_SECRET = secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where things are while the demo runs."""

    web: str
    nylas: str
    database_url: str
    environ: dict[str, str]
    folder: Path

    async def simulator(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Pull a string of the simulator's."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.nylas}/_sim/{path}", json=body) as answer,
        ):
            answer.raise_for_status()
            return await answer.json()

    def last_words(self) -> str:
        """The end of each program's log, for when something went wrong."""
        parts = []
        for log in sorted(self.folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-6:]
            parts.append("\n".join([f"--- {log.stem}", *lines]))
        return "\n".join(parts)


@contextmanager
def stage(*, on_postgres: bool) -> Iterator[Stage]:
    """Set everything up, and take it down whatever happens in between."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="evergrant-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # root's PostgreSQL runs as another user
        servers: list[Child] = []
        supervisor: Supervisor | None = None
        try:
            valkey, redis_url = start_valkey(folder / "valkey", keep=False)
            servers.append(valkey)
            database_url = f"sqlite:///{folder / 'evergrant.db'}"
            if on_postgres:
                postgres, database_url = start_postgres(folder / "postgres")
                servers.append(postgres)
            web, nylas = free_port(), free_port()
            environ = {
                "EVERGRANT_DATA_DIR": str(folder),
                "EVERGRANT_DATABASE_URL": database_url,
                "EVERGRANT_REDIS_URL": redis_url,
                "EVERGRANT_NYLAS_API_KEY": "nyk_demo",
                "EVERGRANT_NYLAS_CLIENT_ID": "demo-application",
                "EVERGRANT_NYLAS_API_URI": f"http://127.0.0.1:{nylas}",
                "EVERGRANT_NYLAS_WEBHOOK_SECRET": WEBHOOK_SECRET,
                "EVERGRANT_PUBLIC_URL": f"http://127.0.0.1:{web}",
                "EVERGRANT_SECRET_KEYS": secrets.token_urlsafe(32) + "=",
                "EVERGRANT_GRACE_SECONDS": "5",  # two minutes is longer than anybody watches
            }
            supervisor = Supervisor(environ, logs=folder)
            simulator = supervisor.start("simulator", "simulator", "--port", str(nylas), "--api-key", "nyk_demo")
            worker_ready = folder / "worker.log"
            worker = supervisor.start("worker", "worker", "--migrate", "--concurrency", "50")
            supervisor.start("beat", "beat")
            front = supervisor.start("web", "web", "--migrate", "--port", str(web))
            simulator.wait_until(lambda: accepts(nylas), seconds=30)
            front.wait_until(lambda: accepts(web), seconds=30)
            worker.wait_until(lambda: "worker.ready" in worker_ready.read_text(), seconds=30)
            yield Stage(f"http://127.0.0.1:{web}", f"http://127.0.0.1:{nylas}", database_url, environ, folder)
        finally:
            if supervisor is not None:
                supervisor.stop()
            stop_all(servers)


def run(environ: dict[str, str], *arguments: str) -> None:
    """Run `evergrant <arguments>` as a person would, before the reader's eyes. Raises CalledProcessError."""
    subprocess.run(
        [sys.executable, "-m", "ingress", *arguments],
        env={**os.environ, **environ},
        check=True,
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
