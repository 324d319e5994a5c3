"""Several of our own programs run as one: started in order, started again if they die, stopped in order."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ingress.children import Child

log = structlog.get_logger()

FIRST_WAIT, LONGEST_WAIT, STEADY = 0.5, 30.0, 60.0


@dataclass(slots=True)
class Program:
    """One program to keep running: its name, and the arguments of `evergrant`."""

    name: str
    arguments: Sequence[str]
    nicer: int = 0
    child: Child | None = None
    started: float = 0.0
    deaths: int = 0
    due: float = field(default=0.0)


class Supervisor:
    """Keeps programs running until it is told to stop."""

    def __init__(self, environ: Mapping[str, str], *, logs: Path | None = None, grace: float = 10.0) -> None:
        """`environ` is theirs; what they print goes to files in `logs`, or where ours goes.

        Each has `grace` seconds to end in, once it is told to.
        """
        self._environ, self._logs, self._grace = environ, logs, grace
        self._programs: list[Program] = []
        self._stops = False

    def start(self, name: str, *arguments: str, nicer: int = 0) -> Child:
        """Start `evergrant <arguments>`; `nicer` is how much it lets the others go first."""
        program = Program(name, arguments, nicer)
        self._programs.append(program)
        return self._start(program)

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT (Ctrl-C) end `keep_running`; one that comes later is passed on to those that still run."""

        def told(*_: object) -> None:
            if not self._stops:
                self._stops = True
                return
            for program in self._programs:
                if program.child is not None:
                    program.child.tell()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, told)

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stops

    def keep_running(self) -> None:
        """Start again what dies, after a wait that grows while it keeps dying; return when told to stop."""
        while not self._stops:
            time.sleep(0.2)
            now = time.monotonic()
            for program in self._programs:
                if program.child is not None and (code := program.child.ended) is not None:
                    program.deaths = 1 if now - program.started > STEADY else program.deaths + 1
                    wait = min(FIRST_WAIT * 2 ** (program.deaths - 1), LONGEST_WAIT)
                    program.child.stop()  # it has ended; this lets go of its leash
                    program.child, program.due = None, now + wait
                    log.error("program.died", name=program.name, exit_code=code, starts_again_in=wait)
                if program.child is None and now >= program.due:
                    self._start(program)

    def stop(self) -> None:
        """End all of them, all at the same time."""
        running = [program for program in self._programs if program.child is not None]
        for program in running:
            if program.child is not None and program.child.ended is None:
                program.child.tell()
        for program in running:
            if program.child is not None:
                program.child.stop()
                program.child = None

    def _start(self, program: Program) -> Child:
        command = [sys.executable, "-m", "ingress", *program.arguments]
        environ = {**os.environ, **self._environ}
        log_file = self._logs / f"{program.name}.log" if self._logs else None
        program.child = Child(
            program.name, command, log=log_file, environ=environ, grace=self._grace, nicer=program.nicer
        )
        program.started = time.monotonic()
        return program.child
