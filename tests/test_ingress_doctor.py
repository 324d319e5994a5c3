"""`evergrant doctor`: on real servers that are right, wrong and away, and nothing of it is changed by the looking."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from ingress.doctor import redis as of_redis
from ingress.doctor.consultation import US, consult
from ingress.doctor.database import look_into
from models.database import Database
from models.inbox import told
from models.kinds import GRANT_EXPIRED
from models.sealing import Keyring
from nylas_api import GRANT_TRIGGERS
from simulator import Running, start
from simulator.hooks import Hook
from tasks.clock import system_clock
from tests.conftest import API_KEY, CLIENT_ID
from tests.in_process import Command
from tests.installed import PUBLIC_URL, evergrant, migrated
from tests.rows import as_row
from tests.stories import fails, seed
from worker.applications import ensure_application
from worker.settings import Settings

__all__ = ["evergrant", "migrated"]

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def settings(sim: Running, tmp_path: Path, **more: str) -> Settings:
    """Settings of an installation."""
    told = {"nylas_api_key": API_KEY, "nylas_client_id": CLIENT_ID, "nylas_api_uri": sim.url, "public_url": PUBLIC_URL}
    return Settings.model_validate(told | {"data_dir": tmp_path} | more)


def set_up(sim: Running) -> None:
    """Let Nylas know us."""
    sim.state.application.register(f"{PUBLIC_URL}/oauth/callback")
    hook = Hook("hook-1", f"{PUBLIC_URL}/webhooks/nylas", "s", list(GRANT_TRIGGERS), sim.state.now())
    sim.state.deliveries.hooks[hook.id] = hook


async def test_where_all_is_right_each_line_says_so(evergrant: Command, sim: Running, valkey: str) -> None:
    set_up(sim)
    seed(sim, 2)
    await evergrant("sync")
    said = await evergrant("doctor", "--json", REDIS_URL=valkey)
    assert all(finding.keys() == {"check", "ok", "detail", "fix"} for finding in said.data)
    keeps_nothing = {"redis persistence": None}  # the Valkey of the tests
    assert {finding["check"]: finding["ok"] for finding in said.data if not finding["ok"]} == keeps_nothing
    checks = [finding["check"] for finding in said.data]
    for check in (
        "settings",
        "database",
        "worker",
        "redis",
        "redis eviction",
        "redis persistence",
        "api key",
        "region",
    ):
        assert checks.count(check) == 1
    for check in ("client id", "clock", "callback URI", "webhook", "webhook secret", "connector google"):
        assert checks.count(check) == 1
    table = await evergrant("doctor", REDIS_URL=valkey)
    assert (table.code, table.out.count("✓"), table.err) == (0, len(checks) - 1, "")
    assert len(table.out.splitlines()) == len(checks)


async def test_what_is_wrong_is_told_with_what_to_do_and_the_rest_is_looked_at_all_the_same(
    evergrant: Command, sim: Running
) -> None:
    await fails(sim, "/v3/connectors", status=500, body={"error": {"type": "api.internal_error", "message": "Oh"}})
    said = await evergrant("doctor", REDIS_URL="redis://127.0.0.1:1/0")
    assert said.code == 1
    lines = {line[2:].split("  ")[0]: line for line in said.out.splitlines()}
    assert lines["redis"].startswith("✗ redis")
    assert "does not answer (ConnectionError)" in lines["redis"]
    assert lines["callback URI"].endswith("→ evergrant redirect-uris add")
    assert lines["webhook"].endswith("→ evergrant webhooks create")
    assert "Nylas answered 500 (api.internal_error): Oh (request id" in lines["connector"]
    assert lines["api key"].startswith("✓")


async def test_wrong_settings_are_all_there_is_to_see() -> None:
    said = await Command({"NYLAS_APIKEY": "HIDDEN", "PUBLIC_URL": "https://a.example"})("doctor", "--json")
    assert said.code == 1
    findings = json.loads(said.out)
    assert {finding["check"] for finding in findings} == {"settings"}
    assert any("did you mean EVERGRANT_NYLAS_API_KEY?" in finding["detail"] for finding in findings)
    assert "HIDDEN" not in said.out + said.err


async def test_a_database_that_is_not_there_is_not_made(evergrant: Command, tmp_path: Path) -> None:
    empty = tmp_path / "elsewhere"
    said = await evergrant("doctor", SECRET_KEYS="", DATA_DIR=str(empty))
    assert said.code == 1
    assert f"{empty}/evergrant.db is not there yet → evergrant migrate" in said.out
    assert not empty.exists()


async def test_a_database_is_looked_into(database: Database, database_url: str, sim: Running, tmp_path: Path) -> None:
    here = settings(sim, tmp_path, database_url=database_url, secret_keys=KEY)
    now = system_clock()
    books = await look_into(here, now=now)
    assert [(finding.check, finding.ok) for finding in books.findings] == [("database", True), ("worker", True)]
    assert (books.providers, books.holds_webhook_secret) == ({}, False)

    with_secret = settings(sim, tmp_path, secret_keys=KEY, nylas_webhook_secret="s")
    application = await ensure_application(database, Keyring(here.keys()), with_secret, now=now)
    ago = now - timedelta(minutes=5)
    event = told(GRANT_EXPIRED, "k", application_id=application.id, source="nylas", now=ago, grant_id="g")
    async with database.writing() as session:
        session.add(as_row(event))
    books = await look_into(here, now=now)
    assert [(finding.check, finding.ok) for finding in books.findings] == [("database", True), ("worker", False)]
    assert books.holds_webhook_secret

    event.lease_until = now + timedelta(seconds=15)
    async with database.writing() as session:
        await session.merge(as_row(event))
    assert (await look_into(here, now=now)).findings[1].ok


async def test_a_database_of_another_release_is_told_of(database_url: str, sim: Running, tmp_path: Path) -> None:
    empty = Database(database_url)
    assert await empty.is_there()
    await empty.close()
    here = settings(sim, tmp_path, database_url=database_url, secret_keys=KEY)
    [finding] = (await look_into(here, now=system_clock())).findings
    assert (finding.check, finding.ok, finding.fix) == ("database", False, "evergrant migrate")


async def test_a_database_that_does_not_answer_is_told_of_without_its_password(sim: Running, tmp_path: Path) -> None:
    url = "postgresql://evergrant:HIDDEN@127.0.0.1:1/evergrant"
    here = settings(sim, tmp_path, database_url=url, secret_keys=KEY)
    [finding] = (await look_into(here, now=system_clock())).findings
    assert (finding.check, finding.ok) == ("database", False)
    assert "HIDDEN" not in f"{finding}"


async def test_a_redis_that_evicts_is_wrong(valkey: str) -> None:
    redis = Redis.from_url(valkey)
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = {finding.check: finding for finding in await of_redis.look_at(valkey)}
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.aclose()
    assert (found["redis"].ok, found["redis eviction"].ok) == (True, False)
    assert "allkeys-lru" in found["redis eviction"].detail


async def test_a_key_of_another_region_is_told_from_a_wrong_one(sim: Running, tmp_path: Path) -> None:
    """The two public addresses are stood in for by two simulators, of which only the other takes the key."""
    home = await start(api_key="nyk_home", client_id=CLIENT_ID)
    try:
        here = settings(sim, tmp_path, nylas_api_key="nyk_home")
        [moved] = await consult(here, None, other_region={sim.url: home.url})
        assert (moved.check, moved.ok, moved.fix) == ("region", False, f"set EVERGRANT_NYLAS_API_URI={home.url}")

        wrong = settings(sim, tmp_path, nylas_api_key="nyk_wrong")
        [refused] = await consult(wrong, None, other_region={sim.url: home.url})
        assert (refused.check, refused.ok) == ("api key", False)
        assert "nyk_wrong" not in f"{refused}"

        asked = home.state.calls.total
        [alone] = await consult(here, None)
        assert (alone.check, alone.ok, home.state.calls.total) == ("api key", False, asked)
    finally:
        await home.stop()
    assert sim.url != US


@pytest.mark.parametrize(("key", "uri", "check"), [("a b", "SIM", "api key"), ("k", "http://127.0.0.1:9", "nylas")])
async def test_where_nylas_can_t_be_asked_that_is_the_one_thing_found(
    sim: Running, tmp_path: Path, key: str, uri: str, check: str
) -> None:
    here = settings(sim, tmp_path, nylas_api_key=key, nylas_api_uri=sim.url if uri == "SIM" else uri)
    [finding] = await consult(here, None)
    assert (finding.check, finding.ok) == (check, False)
    assert "a b" not in finding.detail
