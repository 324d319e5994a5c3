"""Health: alive whatever happens; ready only while events can be stored and nothing would lose them."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from ingress.embedded import start_valkey
from models.database import Database
from tests.front import installed, only_sqlite, served, without_database

__all__ = ["installed", "without_database"]
pytestmark = pytest.mark.usefixtures("installed")


async def test_a_sound_installation_is_ready(database: Database, valkey: str) -> None:
    async with served(valkey) as web:
        ready, alive = await web.get("/readyz"), await web.get("/healthz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "database": "ok", "redis": "ok"})
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


@only_sqlite
async def test_a_database_that_is_gone_is_not_ready_and_no_error(
    database: Database, valkey: str, tmp_path: Path
) -> None:
    async with served(valkey) as web:
        await database.close()
        for file in list(tmp_path.glob("evergrant.db*")):  # noqa: ASYNC240 - a few files, and nothing else runs on this loop
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
