"""The command `evergrant`, run inside the test's own process: a second of starting saved for each."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from typer.testing import CliRunner

from ingress.cli import app


@dataclass(frozen=True)
class Said:
    """How a command ended. The words on stderr stand on one line, however the terminal wrapped them."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What is on stdout, which is JSON and nothing else."""
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass(frozen=True)
class Command:
    """Evergrant with these settings; stdin is no terminal, and holds what it is given."""

    settings: dict[str, str] = field(default_factory=dict)

    async def __call__(self, *arguments: str, stdin: str | bytes = "", **settings: str) -> Said:
        """Run it to its end, in a thread, since it has a loop of its own."""
        told = {f"EVERGRANT_{name}": value for name, value in (self.settings | settings).items()}
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=stdin, env=told)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, " ".join(done.stderr.split()))
