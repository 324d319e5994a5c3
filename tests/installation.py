"""A whole installation for the journeys: every part a process of its own, on ports of this machine."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from ingress.children import Child, accepts, free_port, stop_all
from ingress.embedded import start_valkey
from nylas_api import sign

WEBHOOK_SECRET = "journey-webhook-secret"
API_KEY = "nyk_journey"


class Installation:
    """Simulator, Valkey, web and worker; `kill` and `start` them as the journey wants."""

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
        self.cli("migrate")

    def start(self, *names: str) -> None:
        """Start parts, and wait until they are ready."""
        for name in names:
            self.children[name] = getattr(self, f"_start_{name}")()

    def kill(self, name: str) -> None:
        """End a part as the out-of-memory killer does, and its leash with it."""
        with suppress(ProcessLookupError):
            os.killpg(self.children[name].process.pid, signal.SIGKILL)
        self.children[name].stop()

    def stop(self) -> None:
        """End everything."""
        stop_all(list(self.children.values()))

    def cli(self, *arguments: str) -> str:
        """Run an `evergrant` command; return what it printed on stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "ingress", *arguments],
            env=self._environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"evergrant {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
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

    def _environ(self) -> dict[str, str]:
        return {**os.environ, **self.environ}

    def _child(self, name: str, *arguments: str) -> Child:
        command = [sys.executable, "-m", "ingress", *arguments]
        return Child(name, command, log=self.folder / f"{name}.log", environ=self._environ())

    def _start_simulator(self) -> Child:
        options = ("--latency-ms", str(self.latency_ms), "--api-key", API_KEY)
        child = self._child("simulator", "simulator", "--port", str(self.nylas_port), *options)
        child.wait_until(lambda: accepts(self.nylas_port), seconds=20)
        return child

    def _start_web(self) -> Child:
        child = self._child("web", "web", "--port", str(self.web_port))
        child.wait_until(lambda: accepts(self.web_port), seconds=20)
        return child

    def _start_worker(self) -> Child:
        log = self.folder / "worker.log"
        before = log.read_text().count("worker.ready") if log.exists() else 0
        child = self._child("worker", "worker", "--concurrency", str(self.concurrency))
        child.wait_until(lambda: log.read_text().count("worker.ready") > before, seconds=20)
        return child


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
