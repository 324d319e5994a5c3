"""The product's own worker, told to end at once: what its tasks held is free before its process is gone."""

import asyncio
import base64
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select
from sqlmodel import col

from models import Event
from models.kinds import GRANT_UPDATED
from simulator import Running
from tasks.context import Context
from tests.conftest import API_KEY, CLIENT_ID
from tests.stories import fails, hints, known

ROOT = Path(__file__).parent.parent
WORKS = """
import sys
from worker import logs, serve
from worker.settings import read

real = serve.make_app

def make_app(url):
    app = real(url)
    app.conf.worker_soft_shutdown_timeout = 0  # we have no 10 s to spare
    return app

serve.make_app = make_app
logs.configure("text")
sys.exit(serve.run_worker(read(), redis_url=sys.argv[1], concurrency=4))
"""


@pytest.fixture
async def worker(
    valkey: str, database_url: str, sim: Running, ctx: Context, tmp_path: Path
) -> "AsyncIterator[subprocess.Popen[bytes]]":
    """A worker on the same database, Nylas and Valkey."""
    redis = Redis.from_url(valkey)
    redis.flushdb()
    redis.close()
    environ = {
        **os.environ,
        "EVERGRANT_NYLAS_API_KEY": API_KEY,
        "EVERGRANT_NYLAS_CLIENT_ID": CLIENT_ID,
        "EVERGRANT_NYLAS_API_URI": sim.url,
        "EVERGRANT_PUBLIC_URL": "https://evergrant.example.com",
        "EVERGRANT_DATABASE_URL": database_url,
        "EVERGRANT_SECRET_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    process = starts(valkey, environ, tmp_path / "worker.log")
    yield process
    process.kill()
    process.wait()


def starts(valkey: str, environ: dict[str, str], log_file: Path) -> "subprocess.Popen[bytes]":
    """Start it."""
    with log_file.open("wb") as log:
        return subprocess.Popen([sys.executable, "-c", WORKS, valkey], cwd=ROOT, env=environ, stdout=log, stderr=log)


async def held(ctx: Context) -> int:
    """How many events a worker holds."""
    async with ctx.database.reading() as session:
        return len((await session.scalars(select(Event).where(col(Event.claim_token).is_not(None)))).all())


async def ended(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of the process; return its exit code."""
    return await asyncio.to_thread(process.wait, 15)


async def hangs_at_nylas(ctx: Context, sim: Running) -> None:
    """Put hints into the inbox, and let Nylas not answer what the worker asks about them."""
    grants = await known(ctx, sim, 3)
    await fails(sim, "/v3/grants/*", delay_ms=20_000)
    await hints(ctx, GRANT_UPDATED, *grants)
    async with asyncio.timeout(20):
        while True:
            if await held(ctx) == 3:
                return
            await asyncio.sleep(0.05)


async def test_a_cold_shutdown_lets_go_of_the_rows_even_if_the_database_makes_it_wait(
    ctx: Context, sim: Running, worker: "subprocess.Popen[bytes]"
) -> None:
    await hangs_at_nylas(ctx, sim)
    async with ctx.database.writing() as session:
        await session.execute(select(Event.id).with_for_update())
        worker.send_signal(signal.SIGQUIT)
        await asyncio.sleep(1)
    assert await ended(worker) == 0
    assert await held(ctx) == 0


async def test_a_killed_worker_still_holds_its_rows(
    ctx: Context, sim: Running, worker: "subprocess.Popen[bytes]"
) -> None:
    """So the test above would see it, and so the lease has its use."""
    await hangs_at_nylas(ctx, sim)
    worker.kill()
    await ended(worker)
    assert await held(ctx) == 3
