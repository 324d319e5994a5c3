"""Child processes on a leash: they end with us, whatever becomes of us."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

LEASH = Path(__file__).with_name("leash.py")
OURS = range(15_000, 32_000)


class DidNotStart(Exception):
    """A child process ended, or did not answer in time; the message has what it last said."""


class Child:
    """A command that runs on a leash, in a session of its own, so that Ctrl-C reaches only us."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path | None = None,
        environ: Mapping[str, str] | None = None,
        end_by: signal.Signals = signal.SIGTERM,
        user: int | None = None,
        grace: float = 10.0,
        nicer: int = 0,
    ) -> None:
        """Start it. What it prints goes to `log`, or where ours goes. `user` is whom to run it as (root only).

        Once it is told to end it is killed after `grace` seconds. `nicer` is how much it lets other sessions go first.
        """
        self.name, self.log, self._end_by, self._grace = name, log, end_by, grace
        who = "-" if user is None else str(user)
        output: IO[bytes] | None = log.open("ab") if log else None
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LEASH), end_by.name, who, str(grace), str(nicer), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(environ) if environ is not None else None,
            start_new_session=True,
        )
        if output:
            output.close()

    @property
    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.process.poll()

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until it is ready. Raises DidNotStart, after it has ended it."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.ended is not None:
                self.stop()
                raise DidNotStart(f"{self.name} ended with exit code {self.ended}{self._last_words()}")
            if time.monotonic() > deadline:
                self.stop()
                raise DidNotStart(f"{self.name} was not ready within {seconds:g} s{self._last_words()}")
            time.sleep(0.03)

    def tell(self) -> None:
        """Tell it to end, and do not wait; telling it again may hurry it."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()  # lets go of the leash
        else:
            self.process.send_signal(self._end_by)

    def stop(self, *, seconds: float | None = None) -> None:
        """End it, and wait; after `seconds` (a little more than its grace) it is killed."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(self._grace + 2 if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _last_words(self) -> str:
        said = self.log.read_text(errors="replace").strip() if self.log and self.log.exists() else ""
        return ":\n" + "\n".join(said.splitlines()[-15:]) if said else ""


def stop_all(children: Sequence[Child]) -> None:
    """End them in the reverse order of their start; each that asks nothing of another at the same time."""
    for child in reversed(children):
        child.stop()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now, nor will by chance before it is listened at.

    It is none of those that systems take for outgoing connections, from 32768 or 49152 on: these took it meanwhile.
    Raises OSError if many that were tried are all taken.
    """
    for _ in range(100):
        port = secrets.choice(OURS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"none of a hundred ports of 127.0.0.1 from {OURS.start} to {OURS.stop} is free")


def accepts(port: int) -> bool:
    """Say whether somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
