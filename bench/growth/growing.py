"""The course Growth: the same recurring work on ever more grants, in PostgreSQL and in SQLite."""

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import asyncpg

from bench.course import Contestant, Course, Figures
from bench.growth.filling import fill
from ingress.embedded import start_postgres
from models.database import Database
from models.migrations.run import upgrade
from models.sealing import Keyring
from worker.applications import ensure_application
from worker.settings import Settings

SIZES = (1_000, 10_000, 100_000, 1_000_000)
POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"
DATABASES = (POSTGRESQL, SQLITE)
TO_FILL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Place:
    """One installation's settings: its database holds so many grants."""

    name: str
    environ: dict[str, str]

    def run(self) -> Figures:
        """Let a new process do the work, so that its memory is its own."""
        command = [sys.executable, "-m", "bench.growth.measuring"]
        environ = {**os.environ, **self.environ}
        done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
        figures: Figures = json.loads(done.stdout)
        return figures


def course(*, sizes: Sequence[int] = SIZES, databases: Sequence[str] = DATABASES) -> Course:
    """What recurs may cost no more with a million grants than twice what it costs with ten thousand."""
    return Course(
        name="Growth",
        what="sweep, due rows, lists, one grant's story, progress and planning, on ever more grants",
        stage=partial(_stage, sizes, databases),
        better=frozenset(),
    )


@contextmanager
def _stage(sizes: Sequence[int], databases: Sequence[str]) -> Iterator[Sequence[Contestant]]:
    with tempfile.TemporaryDirectory(prefix="evergrant-growth-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may run as somebody else
        server = None
        try:
            server, url = start_postgres(Path(folder) / "postgres") if POSTGRESQL in databases else (None, "")
            places = []
            for database in databases:
                for size in sizes:
                    where = f"sqlite:///{folder}/growth-{size}.db"
                    if database == POSTGRESQL:
                        where = asyncio.run(_new_database(url, f"growth_{size}"))
                    places.append(_filled(f"{database}, {size:,} grants", where, Path(folder), size))
            yield [Contestant(place.name, place.run) for place in places]
        finally:
            if server:
                server.stop()


async def _new_database(server: str, name: str) -> str:
    connection = await asyncpg.connect(server)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    return f"{server.rpartition('/')[0]}/{name}"


def _filled(name: str, url: str, folder: Path, size: int) -> Place:
    environ = {
        "EVERGRANT_DATABASE_URL": url,
        "EVERGRANT_DATA_DIR": str(folder),
        "EVERGRANT_NYLAS_API_KEY": "nyk_growth",
        "EVERGRANT_NYLAS_CLIENT_ID": "growth",
        "EVERGRANT_PUBLIC_URL": "https://grants.example.com",
        "EVERGRANT_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    told = {key.removeprefix("EVERGRANT_").lower(): value for key, value in environ.items()}
    asyncio.run(_fill(Settings.model_validate(told), size))
    return Place(name, environ)


async def _fill(settings: Settings, size: int) -> None:
    database, now = Database(settings.database, patience=TO_FILL), datetime.now(UTC)
    try:
        await upgrade(database)
        application = await ensure_application(database, Keyring(settings.keys()), settings, now=now)
        await fill(database, application.id, grants=size, now=now)
    finally:
        await database.close()
