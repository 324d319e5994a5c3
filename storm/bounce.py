"""Bounces: Valkey is lost, emptied, hung and stopped, again and again, and each time it is seen when work goes on."""

import base64
import itertools
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from redis.exceptions import RedisError

from ingress.children import Child, accepts, free_port, stop_all
from ingress.embedded import start_valkey
from nylas_api import sign

AGAIN_WITHIN = 10.0
HANGS_FOR = 3.0
WATCHDOG = 75
SECRET, KEY = secrets.token_urlsafe(24), "nyk_bounce"


@dataclass
class Bounced:
    """How it went: seconds until work went on after each bounce, by the kind of bounce, and the worker's exit codes."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)

    @property
    def deaths(self) -> int:
        """How often the worker died that the watchdog did not end."""
        return sum(code != WATCHDOG for code in self.exits)

    @property
    def holds(self) -> bool:
        """Whether work went on in time after each, and no process died."""
        return not self.deaths and all(took <= AGAIN_WITHIN for each in self.seconds.values() for took in each)

    def table(self) -> str:
        """Say it."""
        lines = [
            f"{kind:<12} {len(took):>3} bounces, work goes on after {sorted(took)[len(took) // 2]:5.2f} s (median), "
            f"{max(took):5.2f} s (longest)"
            for kind, took in self.seconds.items()
        ]
        ended = f"worker: {self.deaths} deaths, {self.exits.count(WATCHDOG)} ends by the watchdog"
        return "\n".join([*lines, ended, "the promise holds" if self.holds else "THE PROMISE IS BROKEN"])


class Place:
    """Simulator, web and worker of an installation on SQLite, and the Valkey that is bounced."""

    def __init__(self, folder: Path) -> None:
        """Start everything."""
        self.folder, self.bounced = folder, Bounced()
        web, nylas, self._valkey_port = free_port(), free_port(), free_port()
        self._valkey, url = start_valkey(folder / "valkey", keep=False, port=self._valkey_port)
        self.redis: Any = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
        self.web, self.nylas = f"http://127.0.0.1:{web}", f"http://127.0.0.1:{nylas}"
        self._environ = os.environ | {
            "EVERGRANT_DATA_DIR": str(folder),
            "EVERGRANT_REDIS_URL": url,
            "EVERGRANT_NYLAS_API_KEY": KEY,
            "EVERGRANT_NYLAS_CLIENT_ID": "bounce",
            "EVERGRANT_NYLAS_API_URI": self.nylas,
            "EVERGRANT_NYLAS_WEBHOOK_SECRET": SECRET,
            "EVERGRANT_PUBLIC_URL": self.web,
            "EVERGRANT_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        self._children = [self._start("simulator", "simulator", "--port", str(nylas), "--api-key", KEY)]
        self._children.append(self._start("web", "web", "--migrate", "--port", str(web)))
        for child, port in zip(self._children, (nylas, web), strict=True):
            child.wait_until(partial(accepts, port), seconds=60)
        self._worker = self._start_worker()
        [self._grant] = httpx.post(f"{self.nylas}/_sim/seed", json={"grants": 1}).json()["grants"]

    def stop(self) -> None:
        """End everything."""
        self.redis.close()
        stop_all([self._valkey, *self._children, self._worker])

    def works(self) -> float:
        """Send a webhook, and wait until the worker looks at its grant; return how many seconds that took.

        A dead worker is replaced.
        """
        before, began, key = self._looks(), time.monotonic(), secrets.token_hex(8)
        about = {"application_id": "bounce", "object": {"grant_id": self._grant}}
        body = json.dumps({"specversion": "1.0", "type": "grant.updated", "id": key, "data": about}).encode()
        signed = {"x-nylas-signature": sign(SECRET, body)}
        httpx.post(f"{self.web}/webhooks/nylas", content=body, headers=signed).raise_for_status()
        while self._looks() == before:
            if (code := self._worker.ended) is not None:
                self.bounced.exits.append(code)
                said = (self.folder / "worker.log").read_text().splitlines()
                sys.stderr.write("\n".join([f"the worker ended with {code}:", *said[-25:], ""]))
                self._worker.stop()
                self._worker = self._start_worker()
            if time.monotonic() - began > 90:
                raise TimeoutError(f"nothing goes on; see {self.folder}")
            time.sleep(0.02)
        return time.monotonic() - began

    def _looks(self) -> int:
        calls = httpx.get(f"{self.nylas}/_sim/calls").json()
        return sum(calls["by_grant"].get(self._grant, {}).values())

    def kill_clients(self) -> None:
        """Cut all connections."""
        self.redis.execute_command("CLIENT", "KILL", "TYPE", "normal")

    def restart(self) -> None:
        """Lose everything, and come back empty."""
        with suppress(RedisError):  # it does not answer any more
            self.redis.execute_command("SHUTDOWN", "NOSAVE")
        self._valkey.stop()
        self._valkey, _ = start_valkey(self.folder / "valkey", keep=False, port=self._valkey_port)

    def pause(self) -> None:
        """Answer nobody for a while."""
        self.redis.execute_command("CLIENT", "PAUSE", int(HANGS_FOR * 1_000), "ALL")
        time.sleep(HANGS_FOR)

    def freeze(self) -> None:
        """Stop the server's process for a while."""
        pid = int(self.redis.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        time.sleep(HANGS_FOR)
        os.kill(pid, signal.SIGCONT)

    def _start(self, name: str, *arguments: str) -> Child:
        command = [sys.executable, "-m", "ingress", *arguments]
        return Child(name, command, log=self.folder / f"{name}.log", environ=self._environ)

    def _start_worker(self) -> Child:
        log = self.folder / "worker.log"
        before = log.read_text().count("worker.ready") if log.exists() else 0
        child = self._start("worker", "worker", "--concurrency", "10")
        child.wait_until(lambda: log.read_text().count("worker.ready") > before, seconds=60)
        return child


@contextmanager
def a_place() -> Iterator[Place]:
    """A place in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="evergrant-bounce-") as folder:
        place = Place(Path(folder))
        try:
            yield place
        finally:
            place.stop()


def bounce(bounces: int) -> Bounced:
    """Bounce so many times, each kind in turn."""
    with a_place() as place:
        place.works()
        kinds: list[tuple[str, Callable[[], None]]] = [
            ("client kill", place.kill_clients),
            ("restart", place.restart),
            ("pause", place.pause),
            ("freeze", place.freeze),
        ]
        for kind, act in itertools.islice(itertools.cycle(kinds), bounces):
            act()
            place.bounced.seconds.setdefault(kind, []).append(place.works())
        return place.bounced


def main(bounces: int) -> int:
    """Bounce, and print how it went; return the exit code."""
    bounced = bounce(bounces)
    sys.stdout.write(bounced.table() + "\n")
    return 0 if bounced.holds else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
