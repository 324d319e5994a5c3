"""The office: what an admin types while the storm goes on, each command a process of its own."""

import asyncio
import signal
from dataclasses import dataclass, field

from storm.parts import Parts

TIMES = 8
AGAIN_AFTER = 2.0
WITHIN = 120.0
"""Seconds after which a command hangs. On a busy machine one takes many just to begin."""
AT_ONCE = 2


@dataclass(slots=True)
class Office:
    """Runs commands until they succeed; an admin tries again when one says that it did not work."""

    parts: Parts
    within: float = WITHIN
    """Seconds after which a command that has not ended is told to say where it hangs."""
    done: int = 0
    failed: int = 0
    given_up: list[str] = field(default_factory=list)
    campaigns: list[str] = field(default_factory=list)
    under_way: int = 0
    said: list[str] = field(default_factory=list)
    _hands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self, *arguments: str) -> str | None:
        """Run a command; return what it printed on stdout, or None if it failed each time."""
        self.under_way += 1
        try:
            for _ in range(TIMES):
                async with self._hands:
                    code, out = await self._once(arguments)
                if code == 0:
                    self.done += 1
                    return out
                self.failed += 1
                await asyncio.sleep(AGAIN_AFTER)
            self.given_up.append(" ".join(arguments))
            return None
        finally:
            self.under_way -= 1

    async def start_campaign(self, credential: str) -> None:
        """Ask for all grants of a credential to be renewed."""
        out = await self.run("reauth", "--credential", credential, "--yes", "--no-wait")
        if out:
            self.campaigns.append(out.strip())

    async def _once(self, arguments: tuple[str, ...]) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(*self.parts.command(self.parts.program), *arguments),
            env={**self.parts.environment(self.parts.program), "PYTHONFAULTHANDLER": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(self.within):
                out, err = await process.communicate()
        except TimeoutError:
            process.send_signal(signal.SIGABRT)  # so that it says where it hangs
            out, err = await process.communicate()
        printed, told = out.decode(errors="replace"), err.decode(errors="replace")
        self.said.append(f"{' '.join(arguments)}: {process.returncode}\n{printed}\n{told}")
        return process.returncode or 0, printed
