"""Health: alive whatever happens; ready only while events can be stored and nothing would lose them."""

import asyncio
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from ingress.embedded import start_valkey
from ingress.web import make_web
from models.database import Database
from nylas_api import KeyRejected
from simulator import Running
from tests.databases import sqlite_file
from tests.front import installed, only_sqlite, served, without_database
from worker.settings import read

__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")


async def test_a_sound_installation_is_ready(database: Database, valkey: str) -> None:
    async with served(valkey) as web:
        ready, alive = await web.get("/readyz"), await web.get("/healthz")
    well = {"status": "ready", "database": "ok", "redis": "ok", "nylas": "ok"}
    assert (ready.status_code, ready.json()) == (200, well)
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})


async def test_a_database_of_another_release_is_not_ready(database: Database, valkey: str) -> None:
    async with served(valkey) as web:
        async with database.writing() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = 'another'"))
        ready, alive = await web.get("/readyz"), await web.get("/healthz")
    assert ready.status_code == 503
    assert (ready.json()["status"], ready.json()["redis"]) == ("not ready", "ok")
    assert "evergrant migrate" in ready.json()["database"]
    assert alive.status_code == 200


async def test_a_database_that_a_newer_release_has_migrated_is_ready(database: Database, valkey: str) -> None:
    """As in the midst of an upgrade: else no web would be ready from the migration on until it is started again."""
    async with served(valkey) as web:
        async with database.writing() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        ready = await web.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert "by a newer release" in ready.json()["database"]


async def test_a_nylas_that_refuses_the_key_is_told_of_and_we_stay_ready(
    database: Database, valkey: str, sim: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes meanwhile is stored, and waits."""
    monkeypatch.setenv("EVERGRANT_NYLAS_API_KEY", "nyk_another")
    monkeypatch.setenv("EVERGRANT_NYLAS_API_URI", sim.url)
    app = make_web(read(), redis_url=valkey)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://web") as web,
    ):
        with pytest.raises(KeyRejected):
            await app.state.front.context.nylas.grants.list()
        async with asyncio.timeout(5):
            while (ready := await web.get("/readyz")).json()["nylas"] == "ok":  # noqa: ASYNC110 - a row sets no event
                await asyncio.sleep(0.05)
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["nylas"].startswith("refuses our API key since ")
    assert ready.json()["nylas"].endswith(": run evergrant doctor")


@only_sqlite
async def test_a_database_that_is_gone_is_not_ready_and_no_error(database: Database, valkey: str) -> None:
    async with served(valkey) as web:
        await database.close()
        its = sqlite_file(database)
        for file in list(its.parent.glob(f"{its.name}*")):
            file.write_bytes(b"no database any more" * 1000)
        ready, alive = await web.get("/readyz"), await web.get("/healthz")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert ready.json()["database"].startswith("does not answer (")
    assert alive.status_code == 200


@only_sqlite
@pytest.mark.parametrize("redis_url", ["redis://127.0.0.1:1/0", "redis://no-such-host.invalid:6379/0"])
async def test_a_redis_that_is_away_is_told_of_and_we_stay_ready(database: Database, redis_url: str) -> None:
    """Events are stored all the same; a restart of ours would not bring Redis back."""
    async with served(redis_url) as web:
        ready = await web.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["redis"].startswith("does not answer (")


@only_sqlite
async def test_a_redis_that_hangs_or_evicts_and_one_that_comes_back(database: Database, tmp_path: Path) -> None:
    server, url = start_valkey(tmp_path / "valkey", keep=False)
    try:
        async with served(url) as web, Redis.from_url(url) as redis:
            assert (await web.get("/readyz")).json()["redis"] == "ok"
            for policy in ("allkeys-lru", "volatile-ttl"):
                await redis.config_set("maxmemory-policy", policy)
                evicting = await web.get("/readyz")
                assert (evicting.status_code, evicting.json()["status"]) == (503, "not ready")
                assert evicting.json()["redis"] == f"evicts keys (maxmemory-policy {policy}): set it to noeviction"
            await redis.config_set("maxmemory-policy", "noeviction")
            assert (await web.get("/readyz")).status_code == 200

            await redis.execute_command("CLIENT PAUSE", 1_500, "ALL")
            async with asyncio.timeout(3):
                hanging = await web.get("/readyz")
            assert (hanging.status_code, hanging.json()["redis"]) == (200, "does not answer (TimeoutError)")
            await asyncio.sleep(1.5)
            assert (await web.get("/readyz")).json()["redis"] == "ok"
    finally:
        server.stop()


@only_sqlite
async def test_a_redis_whose_policy_may_not_be_read_says_so_and_we_stay_ready(
    database: Database, tmp_path: Path
) -> None:
    """Hosted Redis often forbids CONFIG; that is no reason to take no events."""
    server, url = start_valkey(tmp_path / "valkey", keep=False)
    try:
        async with Redis.from_url(url) as redis:
            await redis.execute_command("ACL", "SETUSER", "default", "-config")
            async with served(url) as web:
                ready = await web.get("/readyz")
        assert ready.status_code == 200
    finally:
        server.stop()
