"""What a case stands on: a fresh database of either make, a Nylas of its own, and a product that keeps books."""

import asyncio
import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web
from sqlmodel import SQLModel
from standardwebhooks import Webhook

from ingress.embedded import start_postgres
from models.database import Database
from models.migrations.run import upgrade
from tasks.clock import Clock
from tasks.notices.secrets import new_secret

EMPTY = "; ".join(
    [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()",
        "SET session_replication_role = replica",  # so the order of the tables does not matter
        *(str(table.delete()) for table in SQLModel.metadata.tables.values()),
    ]
)


class SqliteFiles:
    """Each case has a file of its own, copied from one that has the tables."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._migrated = folder / "migrated.db"

    async def prepare(self) -> None:
        """Make the tables once."""
        await _migrate(f"sqlite:///{self._migrated}")

    @asynccontextmanager
    async def fresh(self, lane: int) -> AsyncIterator[str]:
        """Yield the URL of a database without rows."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=f"lane-{lane}-") as name:
            file = Path(name) / "evergrant.db"
            shutil.copyfile(self._migrated, file)
            yield f"sqlite:///{file}"


class PostgresDatabases:
    """Each lane has a database of its own, that is emptied after each case."""

    name = "PostgreSQL"

    def __init__(self, server: str) -> None:
        self._server, self._lanes = server, dict[int, str]()
        self._one_by_one = asyncio.Lock()  # migrations can't run side by side in a process

    async def prepare(self) -> None:
        """Nothing: a lane's database is made when it is first wanted."""

    @asynccontextmanager
    async def fresh(self, lane: int) -> AsyncIterator[str]:
        """Yield the URL of a database without rows."""
        async with self._one_by_one:
            if lane not in self._lanes:
                self._lanes[lane] = await self._make()
        try:
            yield self._lanes[lane]
        finally:
            await _run(self._lanes[lane], EMPTY)

    async def _make(self) -> str:
        name = f"kills_{secrets.token_hex(6)}"
        await _run(self._server, f'CREATE DATABASE "{name}"')
        url = self._server.rpartition("/")[0] + f"/{name}"
        await _migrate(url)
        return url


Databases = SqliteFiles | PostgresDatabases


@asynccontextmanager
async def a_postgres(folder: Path) -> AsyncIterator[str]:
    """A PostgreSQL of our own. No power is cut here, so that it need not wait for the disk."""
    server, url = start_postgres(folder / "postgres")
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            await _run(url, f"ALTER SYSTEM SET {setting} = off")
        await _run(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        server.stop()


async def _migrate(url: str) -> None:
    database = Database(url)
    await upgrade(database)
    await database.close()


async def _run(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


class Product:
    """It verifies each notice, writes it down, and only then says that it has it. The age of none is looked at."""

    def __init__(self, now: Clock) -> None:
        self.url, self.secret, self.heard = "", new_secret(), list[dict[str, Any]]()
        self._now = now

    async def told(self, request: web.Request) -> web.Response:
        """Take a notice."""
        body, named = await request.text(), {name.lower(): value for name, value in request.headers.items()}
        id, at = named["webhook-id"], datetime.fromtimestamp(int(named["webhook-timestamp"]), UTC)
        signed = Webhook(self.secret).sign(id, at, body) in named["webhook-signature"].split(" ")
        notice = json.loads(body)
        about = {name: notice["data"].get(name) for name in ("grant_id", "sequence", "status")}
        entry = {"id": id, "at": self._now().isoformat(), "signed": signed, "kind": notice["type"], **about}
        self.heard.append(entry)
        return web.Response(status=200 if signed else 401)


@asynccontextmanager
async def a_product(now: Clock) -> AsyncIterator[Product]:
    """A product on a port of its own."""
    product, app = Product(now), web.Application()
    app.router.add_post("/notices", product.told)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        product.url = f"http://127.0.0.1:{runner.addresses[0][1]}/notices"
        yield product
    finally:
        await runner.cleanup()
