"""`evergrant up`, as one starts it in an empty folder; and what its parts do not load, so that they start soon."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ingress.children import Child, free_port
from ingress.priority import NICER
from storm.processes import command_line, family
from tests.front import told

ROOT = Path(__file__).parents[1]

A_DATABASE = {"sqlalchemy", "sqlmodel", "alembic", "aiosqlite", "asyncpg", "models"}
MESSAGES = {"celery", "kombu", "redis", "redbeat"}
NYLAS = {"httpx", "aiohttp", "nylas_api"}
PARTS = ("web", "worker", "beat")
A_WEB_FRONT = {"fastapi", "starlette", "uvicorn"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of an installation that was told of no Redis and no database."""
    settings = {f"EVERGRANT_{name}": value for name, value in told(tmp_path / "data").items()}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings}


@pytest.fixture
def started(python: str, environ: dict[str, str], tmp_path: Path) -> Iterator[tuple[Child, str, Path]]:
    """An `evergrant up` that says what it imports, where it listens, and its log."""
    port, log = free_port(), tmp_path / "up.log"
    command = [python, "-X", "importtime", "-m", "ingress", "up", "--port", str(port)]
    child = Child("up", command, log=log, environ=environ)
    yield child, f"http://127.0.0.1:{port}", log
    child.stop(seconds=30)


def packages_imported(log: Path) -> set[str]:
    """What `-X importtime` named, by the first part of the name; the programs that were started inherit no `-X`."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


async def loaded_by(python: str, *imports: str) -> set[str]:
    """What is loaded after these imports, by the first part of the name."""
    program = f"import sys, {', '.join(imports)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    process = await asyncio.create_subprocess_exec(python, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    return set(out.decode().split())


def until_all_are_ready(up: Child, log: Path) -> None:
    """Wait for each part's own word."""
    up.wait_until(
        lambda: all(word in log.read_text() for word in ("worker.ready", "beat.ready", "listens_on=")), seconds=90
    )


@pytest.mark.long
def test_an_empty_folder_is_enough_and_who_looks_after_the_parts_loads_none_of_what_they_need(
    started: tuple[Child, str, Path],
) -> None:
    up, url, log = started
    until_all_are_ready(up, log)

    ready = httpx.get(f"{url}/readyz")
    up.stop(seconds=30)

    assert (ready.status_code, ready.json()["database"]) == (200, "ok")
    assert up.ended == 0, log.read_text()
    assert "program.died" not in log.read_text()
    imported = packages_imported(log)
    assert {"ingress", "worker", "pydantic_settings"} <= imported
    assert imported.isdisjoint(A_DATABASE | MESSAGES | NYLAS | A_WEB_FRONT)


def how_nice(pid: int) -> set[int]:
    """How nice the threads of a process are."""
    return {os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()}


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux shows all threads of a process")
async def test_on_a_busy_machine_web_goes_first(
    python: str, environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "up.log"
    environ["EVERGRANT_DATABASE_URL"] = database_url
    up = Child("up", [python, "-m", "ingress", "up", "--port", str(free_port())], log=log, environ=environ)
    try:
        until_all_are_ready(up, log)
        commands = {pid: command_line(pid) for pid in family(up.process.pid)}
        nice = {name: how_nice(pid) for pid, line in commands.items() for name in PARTS if f"-m ingress {name}" in line}
    finally:
        up.stop(seconds=30)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    after_it = min(ours + NICER, 19)
    assert nice == {"web": {ours}, "worker": {after_it}, "beat": {after_it}}


@pytest.mark.long
def test_it_says_that_a_part_can_not_start_and_ends(python: str, environ: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_text("no database")
    environ["EVERGRANT_DATABASE_URL"] = f"sqlite:///{broken}"
    command = [python, "-m", "ingress", "up", "--port", str(free_port())]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90, check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert "file is not a database" in said.stderr
    assert "web ended with exit code 1" in said.stderr


def test_it_can_be_stopped_before_it_is_there(started: tuple[Child, str, Path]) -> None:
    up, _, log = started
    up.wait_until(lambda: (log.parent / "data" / "valkey" / "valkey.log").exists(), seconds=60)
    up.stop(seconds=30)
    assert up.ended in (0, 128 + signal.SIGTERM)
    assert "listens_on=" not in log.read_text()


async def test_a_worker_loads_no_web_front_and_no_simulator(python: str) -> None:
    loaded = await loaded_by(python, "ingress.cli", "ingress.migrating", "worker.serve", "worker.logs")
    assert loaded >= {"celery", "sqlalchemy"}
    assert loaded.isdisjoint(A_WEB_FRONT | {"simulator"})


@pytest.mark.long
async def test_a_web_front_loads_no_simulator_and_nothing_of_beat_and_the_api_only_when_it_serves(python: str) -> None:
    loaded = await loaded_by(python, "ingress.cli", "ingress.migrating", "ingress.web", "worker.logs")
    assert loaded >= A_WEB_FRONT - {"fastapi"}
    assert loaded.isdisjoint({"simulator", "redbeat", "fastapi"})
