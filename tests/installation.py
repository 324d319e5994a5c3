"""A whole installation for the journeys: every part a process of its own, on ports of this machine."""

import base64
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from ingress.children import Child, accepts, free_port, stop_all
from ingress.cli import app
from ingress.embedded import start_valkey
from nylas_api import sign

WEBHOOK_SECRET = "journey-webhook-secret"
API_KEY = "nyk_journey"


Starting = tuple[Child, Callable[[], bool]]  # a part, and whether it is ready


class Installation:
    """Simulator, Valkey, web and worker, on a migrated database; `kill` and `start` them as the journey wants."""

    def __init__(
        self, folder: Path, database_url: str, *, rate: float = 0, latency_ms: int = 0, concurrency: int = 50
    ) -> None:
        self.folder, self.concurrency, self.latency_ms = folder, concurrency, latency_ms
        self.web_port, self.nylas_port = free_port(), free_port()
        self.web, self.nylas = f"http://127.0.0.1:{self.web_port}", f"http://127.0.0.1:{self.nylas_port}"
        self.children: dict[str, Child] = {}
        valkey, self.redis_url = start_valkey(folder / "valkey", keep=False)
        self.children["valkey"] = valkey
        self.environ = {
            "EVERGRANT_DATA_DIR": str(folder),
            "EVERGRANT_DATABASE_URL": database_url,
            "EVERGRANT_REDIS_URL": self.redis_url,
            "EVERGRANT_NYLAS_API_KEY": API_KEY,
            "EVERGRANT_NYLAS_CLIENT_ID": "journey-application",
            "EVERGRANT_NYLAS_API_URI": self.nylas,
            "EVERGRANT_NYLAS_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "EVERGRANT_NYLAS_RATE": str(rate),
            "EVERGRANT_PUBLIC_URL": self.web,
            "EVERGRANT_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        }

    def start(self, *names: str) -> None:
        """Start parts, all at the same time, and wait until they are ready."""
        started = {name: getattr(self, f"_start_{name}")() for name in names}
        self.children |= {name: child for name, (child, _) in started.items()}
        for child, ready in started.values():
            child.wait_until(ready, seconds=30)

    def kill(self, name: str) -> None:
        """End a part as the out-of-memory killer does, and its leash with it."""
        with suppress(ProcessLookupError):
            os.killpg(self.children[name].process.pid, signal.SIGKILL)
        self.children[name].stop()

    def stop(self) -> None:
        """End everything."""
        stop_all(list(self.children.values()))

    def cli(self, *arguments: str) -> str:
        """Run an `evergrant` command, in this process; return what it printed on stdout."""
        done = CliRunner().invoke(app, arguments, env=self.environ)
        assert done.exit_code == 0, f"evergrant {' '.join(arguments)}:\n{done.output}{done.exception!r}"
        return done.stdout

    def sim(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Pull a string of the simulator's."""
        answer = httpx.request(method, f"{self.nylas}/_sim/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def send(self, client: httpx.Client, event: Mapping[str, Any]) -> httpx.Response:
        """Send a signed webhook, as Nylas does."""
        body = json.dumps(event).encode()
        return client.post(
            f"{self.web}/webhooks/nylas", content=body, headers={"x-nylas-signature": sign(WEBHOOK_SECRET, body)}
        )

    def until(self, holds: Callable[[], bool], *, seconds: float, what: str) -> float:
        """Wait until something holds; return how many seconds that took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}\n{self.last_words()}"
            time.sleep(0.1)
        return time.monotonic() - began

    def last_words(self) -> str:
        """The end of each log."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.stem}\n" + "\n".join(log.read_text().splitlines()[-8:]) for log in logs)

    def _child(self, name: str, *arguments: str) -> Child:
        command = [sys.executable, "-m", "ingress", *arguments]
        return Child(name, command, log=self.folder / f"{name}.log", environ={**os.environ, **self.environ})

    def _start_simulator(self) -> Starting:
        options = ("--latency-ms", str(self.latency_ms), "--api-key", API_KEY)
        child = self._child("simulator", "simulator", "--port", str(self.nylas_port), *options)
        return child, lambda: accepts(self.nylas_port)

    def _start_web(self) -> Starting:
        return self._child("web", "web", "--port", str(self.web_port)), lambda: accepts(self.web_port)

    def _start_worker(self) -> Starting:
        log = self.folder / "worker.log"
        before = log.read_text().count("worker.ready") if log.exists() else 0
        child = self._child("worker", "worker", "--concurrency", str(self.concurrency))
        return child, lambda: log.read_text().count("worker.ready") > before


def expired(grant_id: str, *, number: int) -> dict[str, Any]:
    """A `grant.expired` notification, with an id of its own."""
    return {
        "specversion": "1.0",
        "type": "grant.expired",
        "source": "/nylas/system",
        "id": f"event-{number}",
        "time": int(time.time()),
        "webhook_delivery_attempt": 1,
        "data": {
            "application_id": "journey-application",
            "object": {"code": 25009, "grant_id": grant_id, "integration_id": "i", "provider": "google"},
        },
    }
