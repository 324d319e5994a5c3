"""Secrets where they should not be: in logs, in Valkey, in messages, in what web shows, in process lists."""

import asyncio
import base64
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

PACKED = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")
AGAIN_AFTER = 0.3


def leaked(text: str, secrets: Collection[str]) -> set[str]:
    """Which of the secrets stand in a text: as they are, or in the base64 that messages are packed in."""
    found = {secret for secret in secrets if secret in text}
    for match in PACKED.finditer(text):
        with suppress(ValueError):
            plain = base64.b64decode(match[0] + "=" * (-len(match[0]) % 4)).decode("ascii", errors="ignore")
            found |= {secret for secret in secrets if secret in plain}
    return found


def in_files(files: Iterable[Path], secrets: Collection[str]) -> list[str]:
    """Say in which of the files how many of the secrets stand; files are read piece by piece."""
    found = []
    for file in files:
        hits: set[str] = set()
        with file.open(errors="replace") as lines:
            for line in lines:
                hits |= leaked(line, secrets)
        if hits:
            found.append(f"{len(hits)} secrets stand in {file.name}: {', '.join(sorted(one[:12] for one in hits))}…")
    return found


class Listener:
    """Listens to all that is said to Valkey, by MONITOR, and keeps it in a file."""

    def __init__(self, redis_url: str, file: Path) -> None:
        at = urlsplit(redis_url)
        self._host, self._port, self._file = str(at.hostname), int(at.port or 6379), file
        self.heard = 0

    async def listen(self) -> None:
        """Listen until cancelled; who is cut off comes back."""
        while True:
            with suppress(OSError, ValueError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**22)
                try:
                    writer.write(b"MONITOR\r\n")
                    await self._keep(reader)
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN_AFTER)

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        with self._file.open("ab") as kept:
            while line := await reader.readline():
                kept.write(line)
                self.heard += 1
