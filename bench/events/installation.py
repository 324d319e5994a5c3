"""Evergrant as its users run it: each part a process of its own, on ports of this machine."""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from ingress.children import Child, accepts, free_port, stop_all
from ingress.embedded import start_valkey

API_KEY, WEBHOOK_SECRET = secrets.token_urlsafe(24), secrets.token_urlsafe(24)


class Installation:
    """Valkey, which runs while the installation is there, and the parts that are started and ended at will."""

    def __init__(self, folder: Path, *, latency_ms: int = 0, environ: Mapping[str, str] | None = None) -> None:
        """Start Valkey; `environ` is what the parts are told beside the usual."""
        self.folder, self.latency_ms = folder, latency_ms
        self.web_port, self.nylas_port = free_port(), free_port()
        valkey, self.redis_url = start_valkey(folder / "valkey", keep=False)
        self.children: dict[str, Child] = {"valkey": valkey}
        self.environ = {
            "EVERGRANT_DATA_DIR": str(folder),
            "EVERGRANT_REDIS_URL": self.redis_url,
            "EVERGRANT_NYLAS_API_KEY": API_KEY,
            "EVERGRANT_NYLAS_CLIENT_ID": "bench-application",
            "EVERGRANT_NYLAS_API_URI": f"http://127.0.0.1:{self.nylas_port}",
            "EVERGRANT_NYLAS_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "EVERGRANT_NYLAS_RATE": "0",
            "EVERGRANT_PUBLIC_URL": f"http://127.0.0.1:{self.web_port}",
            "EVERGRANT_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
            **(environ or {}),
        }

    def command(self, *arguments: str, database_url: str) -> None:
        """Run an `evergrant` command to its end. Raises CalledProcessError."""
        environ = {**os.environ, **self.environ, "EVERGRANT_DATABASE_URL": database_url}
        command = [sys.executable, "-m", "ingress", *arguments]
        subprocess.run(command, env=environ, check=True, capture_output=True)

    def start_simulator(self) -> None:
        """Start the simulated Nylas."""
        options = ("--port", str(self.nylas_port), "--latency-ms", str(self.latency_ms), "--api-key", API_KEY)
        child = self._start("simulator", "simulator", *options)
        child.wait_until(lambda: accepts(self.nylas_port), seconds=30)

    def start_web(self, database_url: str) -> None:
        """Start the web front, with its default settings."""
        child = self._start("web", "web", "--port", str(self.web_port), database_url=database_url)
        child.wait_until(lambda: accepts(self.web_port), seconds=30)

    def start_worker(self, database_url: str) -> None:
        """Start a worker, with its default settings."""
        log = self.folder / "worker.log"
        log.unlink(missing_ok=True)
        child = self._start("worker", "worker", database_url=database_url)
        child.wait_until(lambda: "worker.ready" in log.read_text(), seconds=30)

    def sim(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the simulator's control."""
        url = f"http://127.0.0.1:{self.nylas_port}/_sim/{path}"
        answer = httpx.request(method, url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def end(self, *names: str) -> None:
        """End parts."""
        for name in names:
            if child := self.children.pop(name, None):
                child.stop()

    def stop(self) -> None:
        """End everything."""
        stop_all(list(self.children.values()))
        self.children.clear()

    def _start(self, name: str, *arguments: str, database_url: str = "") -> Child:
        command = [sys.executable, "-m", "ingress", *arguments]
        environ = {**os.environ, **self.environ}
        if database_url:
            environ["EVERGRANT_DATABASE_URL"] = database_url
        self.children[name] = Child(name, command, log=self.folder / f"{name}.log", environ=environ)
        return self.children[name]
