"""Faults of the database: PostgreSQL stopped at once, cut off and paused; SQLite full, and locked by another."""

import asyncio
import resource
import signal
import sqlite3
import time
from contextlib import suppress

import asyncpg

from storm.faults.standing_still import stand_still
from storm.parts import CONCURRENCY, WORKERS
from storm.stage import DidNotFire, Stage, until

DOWN, STOPPED_FOR, LOCKED_FOR, FULL_FOR = 1.5, 4.0, 4.0, 4.0
ROOM = 16 * 1_024
FULL = "database or disk is full"
FULL_WITHIN, BAIT_EVERY = 20.0, 0.1


async def crash_postgres(stage: Stage, draw: int) -> str:
    """Stop it as `pg_ctl stop -m immediate` does, with whatever commits are under way; it recovers from its log."""
    parts = stage.parts
    stage.interrupted += len(WORKERS) * CONCURRENCY
    before = parts.said("postgres", "immediate shutdown request")
    parts.children["postgres"].process.send_signal(signal.SIGQUIT)  # its leash passes it on

    async def ended() -> bool:
        return parts.children["postgres"].ended is not None

    if not await until(ended, seconds=10):
        raise DidNotFire("it did not stop")
    await asyncio.sleep(DOWN)
    await parts.end("postgres")  # lets go of its leash
    await parts.start("postgres")
    if parts.said("postgres", "immediate shutdown request") == before:
        raise DidNotFire("its log does not speak of an immediate shutdown")
    return f"an immediate shutdown, away for {DOWN} s"


async def cut_postgres(stage: Stage, draw: int) -> str:
    """End all connections of ours."""
    stage.interrupted += len(WORKERS) * CONCURRENCY
    connection = await asyncpg.connect(stage.parts.database_url)
    try:
        killed = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'evergrant'"
        )
    finally:
        await connection.close()
    if not killed:
        raise DidNotFire("we had no connections")
    return f"pg_terminate_backend ended {killed} connections"


async def pause_postgres(stage: Stage, draw: int) -> str:
    """Stop all its processes, so that connections stay open and say nothing."""
    stopped = await stand_still(stage.parts.leash("postgres"), STOPPED_FOR)
    return f"{stopped} processes were stopped for {STOPPED_FOR} s"


async def lock_sqlite(stage: Stage, draw: int) -> str:
    """Let another program hold the write lock."""
    file = stage.parts.database_url.removeprefix("sqlite:///")

    def hold() -> float:
        connection = sqlite3.connect(file, timeout=30, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            time.sleep(LOCKED_FOR)
            connection.execute("ROLLBACK")
            return time.monotonic() - began
        finally:
            connection.close()

    held = await asyncio.to_thread(hold)
    return f"another writer held the lock for {held:.1f} s"


async def fill_sqlite(stage: Stage, draw: int) -> str:
    """Let SQLite take no page more (`PRAGMA max_page_count`), whoever opens a database and whichever."""
    parts, names = stage.parts, ("web", *WORKERS)
    stage.interrupted += len(WORKERS) * CONCURRENCY
    before = sum(parts.said(name, FULL) for name in names)
    refused = sum(stage.courier.refused.values())
    async with parts.run_by("storm.filled", *names):
        ends = time.monotonic() + FULL_WITHIN
        await asyncio.sleep(FULL_FOR)
        while sum(parts.said(name, FULL) for name in names) == before and time.monotonic() < ends:
            stage.baits.add(asyncio.create_task(stage.hint()))  # the pages that it has may have room yet
            await asyncio.sleep(BAIT_EVERY)
    told = sum(parts.said(name, FULL) for name in names) - before
    refused = sum(stage.courier.refused.values()) - refused
    if not told:
        raise DidNotFire("nobody was told that the database is full")
    return f"no database took a page more: {told} times it was said, {refused} webhooks were refused"


async def cap_sqlite(stage: Stage, draw: int) -> str:
    """Let no file of ours grow any more: the kernel says so, and SQLite calls it an I/O error."""
    parts = stage.parts
    stage.interrupted += len(WORKERS) * CONCURRENCY
    log = parts.folder / "evergrant.db-wal"
    pids = [pid for name in ("web", *WORKERS) if (pid := parts.pid(name))]
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    words = ("not_stored", "disk I/O error", "disk is full", "OperationalError")
    before = sum(parts.said(name, word) for name in ("web", *WORKERS) for word in words)
    refused = sum(stage.courier.refused.values())
    room = max(file.stat().st_size for file in parts.folder.glob("*.log")) + ROOM  # what they say must not be lost
    try:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, limits[pid][1]))
        began = time.monotonic()
        while time.monotonic() < began + FULL_FOR:
            await stage.nylas.control("GET", "limits")
            await asyncio.sleep(0.2)
        size = log.stat().st_size if log.exists() else 0
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits[pid])
    failures = sum(parts.said(name, word) for name in ("web", *WORKERS) for word in words) - before
    failures += sum(stage.courier.refused.values()) - refused
    if not failures:
        raise DidNotFire(f"all writes went on, with {room} bytes of room and a log of {size}")
    return f"no file grew beyond {room} bytes: {failures} writes failed"
