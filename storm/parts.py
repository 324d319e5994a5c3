"""The parts of the installation that the storm is about: each a process of its own, killed and started at will."""

import asyncio
import base64
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ingress.children import Child, DidNotStart, accepts, free_port, stop_all
from ingress.embedded import start_postgres, start_valkey
from ingress.priority import NICER
from storm.processes import family, own
from storm.release import Release

WORKERS, BEATS = ("worker-1", "worker-2"), ("beat-1", "beat-2")
OURS = ("web", *WORKERS, *BEATS)
OURS_BY = "ingress"
"""The module that our parts and commands are run by."""
CONCURRENCY = 10
STARTS_WITHIN = 60.0
STARTED_AGAIN_AFTER = 0.5
CLIENT_ID = "storm-application"

Starting = tuple[Child, Callable[[], bool]]


def secret(what: str) -> str:
    """A secret that can be found again wherever it leaks to."""
    return f"storm-{what}-{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Planted:
    """The secrets of this storm. Nobody may ever read one outside the database and the processes themselves."""

    api_key: str = field(default_factory=lambda: secret("api-key"))
    webhook_secret: str = field(default_factory=lambda: secret("webhook"))
    notice_secret: str = field(default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    sealing_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())


@dataclass(frozen=True, slots=True)
class Death:
    """A part that ended although nobody had killed it."""

    name: str
    code: int
    at: float


class Parts:
    """Valkey, a database, the simulator, a product, web, two workers and two beats."""

    def __init__(
        self,
        folder: Path,
        *,
        on_postgres: bool,
        concurrency: int = CONCURRENCY,
        program: str = OURS_BY,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`program` is the module that our parts are run by, with `environ` besides what they are told anyway."""
        self.folder, self.on_postgres, self.planted = folder, on_postgres, Planted()
        self.concurrency, self.program = concurrency, program
        self.release: Release | None = None
        """The release that parts and commands are started from; None is this one."""
        self.ports = {name: free_port() for name in ("web", "simulator", "product", "valkey", "postgres")}
        self.web, self.nylas, self.product = (
            f"http://127.0.0.1:{self.ports[name]}" for name in ("web", "simulator", "product")
        )
        self.redis_url = f"redis://127.0.0.1:{self.ports['valkey']}/0"
        self.database_url = (
            f"postgresql://postgres@127.0.0.1:{self.ports['postgres']}/postgres"
            if on_postgres
            else f"sqlite:///{folder / 'evergrant.db'}"
        )
        self.children: dict[str, Child] = {}
        self.deaths: list[Death] = []
        self._ours_to_end: set[str] = set()
        self.environ = {
            "EVERGRANT_DATA_DIR": str(folder),
            "EVERGRANT_DATABASE_URL": self.database_url,
            "EVERGRANT_REDIS_URL": self.redis_url,
            "EVERGRANT_NYLAS_API_KEY": self.planted.api_key,
            "EVERGRANT_NYLAS_CLIENT_ID": CLIENT_ID,
            "EVERGRANT_NYLAS_API_URI": self.nylas,
            "EVERGRANT_NYLAS_WEBHOOK_SECRET": self.planted.webhook_secret,
            "EVERGRANT_PUBLIC_URL": self.web,
            "EVERGRANT_SECRET_KEYS": self.planted.sealing_key,
            "EVERGRANT_NOTICE_URL": f"{self.product}/notices",
            "EVERGRANT_NOTICE_SECRET": self.planted.notice_secret,
            "EVERGRANT_NOTICE_ALLOW_PRIVATE": "true",
            "EVERGRANT_GRACE_SECONDS": "1",
            # A storm expires most of its grants: what is one cause, or too much, is a matter of other tests.
            "EVERGRANT_INCIDENT_GRANTS": "1000000",
            "EVERGRANT_INCIDENT_SHARE": "1",
            "EVERGRANT_BRAKE_FLIPS": "0",
            "EVERGRANT_BRAKE_NOTICES": "0",
            **(environ or {}),
        }

    async def start(self, *names: str, environ: Mapping[str, str] | None = None, program: str | None = None) -> None:
        """Start parts, all at the same time, and wait until they are ready. Ours may be run by another `program`."""

        def ready(name: str) -> None:
            child, is_ready = self._begin(name, environ or {}, program or self.program)
            self.children[name] = child
            child.wait_until(is_ready, seconds=STARTS_WITHIN)

        await asyncio.gather(*(asyncio.to_thread(ready, name) for name in names))
        self._ours_to_end -= set(names)

    async def end(self, *names: str, by: signal.Signals = signal.SIGTERM) -> None:
        """End parts, by SIGTERM as an operator does, or by SIGKILL with their leash, as the kernel does."""
        self._ours_to_end |= set(names)
        if by is signal.SIGKILL:
            for name in names:
                with suppress(ProcessLookupError):
                    os.killpg(self.children[name].process.pid, signal.SIGKILL)
        await asyncio.gather(*(asyncio.to_thread(self.children[name].stop, seconds=20) for name in names))

    @asynccontextmanager
    async def run_by(self, program: str, *names: str, environ: Mapping[str, str] | None = None) -> AsyncIterator[None]:
        """Let parts be run by another program for the length of the block, and by their own again after it."""
        await self.end(*names)
        try:
            await self.start(*names, program=program, environ=environ)
            yield
        finally:
            await self.end(*names)
            await self.start(*names)

    async def look_after(self) -> None:
        """Start again what dies by itself, as a supervisor does, until cancelled; such deaths are counted."""
        while True:
            for name in OURS:
                code = self.children[name].ended if name not in self._ours_to_end else None
                if code is not None:
                    self.deaths.append(Death(name, code, time.monotonic()))
                    await asyncio.sleep(STARTED_AGAIN_AFTER)
                    with suppress(DidNotStart):
                        await self.start(name)
            await asyncio.sleep(0.1)

    def command(self, module: str) -> list[str]:
        """How a module is run; `ingress`, our program, is that of the release."""
        return self.release.command(module) if self.release and module == OURS_BY else [sys.executable, "-m", module]

    def environment(self, module: str) -> dict[str, str]:
        """What a module is told by its environment."""
        whole = {**os.environ, **self.environ}
        return self.release.environ(whole) if self.release and module == OURS_BY else whole

    def leash(self, name: str) -> int:
        """The pid of a part's leash."""
        return self.children[name].process.pid

    def pid(self, name: str) -> int:
        """The pid of a part itself."""
        return own(self.leash(name)) or 0

    def all_pids(self) -> list[int]:
        """Every process of the installation."""
        return [pid for child in self.children.values() for pid in family(child.process.pid)]

    def log(self, name: str) -> Path:
        """Where a part writes what it has to say."""
        folder = {"valkey": self.folder / "valkey", "postgres": self.folder / "postgres"}
        return folder.get(name, self.folder) / f"{name}.log"

    def said(self, name: str, words: str) -> int:
        """How often a part has said something."""
        log = self.log(name)
        return log.read_text(errors="replace").count(words) if log.exists() else 0

    def last_words(self, lines: int = 6) -> str:
        """The end of each log."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.stem}\n" + "\n".join(log.read_text().splitlines()[-lines:]) for log in logs)

    def stop(self) -> None:
        """End everything, the last started first."""
        stop_all(list(self.children.values()))

    def _begin(self, name: str, environ: Mapping[str, str], program: str) -> Starting:
        match name.partition("-")[0]:
            case "valkey":
                return start_valkey(self.folder / "valkey", keep=False, port=self.ports["valkey"])[0], lambda: True
            case "postgres":
                return start_postgres(self.folder / "postgres", port=self.ports["postgres"])[0], lambda: True
            case "simulator":
                options = ("--port", str(self.ports[name]), "--api-key", self.planted.api_key, "--client-id", CLIENT_ID)
                return self._child(name, "simulator", *options), lambda: accepts(self.ports[name])
            case "product":
                books = str(self.folder / "product.jsonl")
                told = {"STORM_SECRET": self.planted.notice_secret}
                child = self._child(
                    name, "storm.product", "--port", str(self.ports[name]), "--books", books, environ=told
                )
                return child, lambda: accepts(self.ports[name])
            case "web":
                child = self._child(name, program, "web", "--port", str(self.ports["web"]), environ=environ)
                return child, lambda: accepts(self.ports["web"])
            case "worker":
                before = self.said(name, "worker.ready")
                at_once = ("--concurrency", str(self.concurrency))
                child = self._child(name, program, "worker", *at_once, environ=environ, nicer=NICER)
                return child, lambda: self.said(name, "worker.ready") > before
            case _:
                before = self.said(name, "beat.ready")
                child = self._child(name, program, "beat", environ=environ, nicer=NICER)
                return child, lambda: self.said(name, "beat.ready") > before

    def _child(
        self, name: str, module: str, *arguments: str, environ: Mapping[str, str] | None = None, nicer: int = 0
    ) -> Child:
        command, told = [*self.command(module), *arguments], {**self.environment(module), **(environ or {})}
        return Child(name, command, log=self.log(name), environ=told, nicer=nicer)
