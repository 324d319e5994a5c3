"""Faults of our own processes: killed, paused past their leases, rolled, and with a clock that is wrong."""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlmodel import col

from models import Event
from storm.parts import BEATS, CONCURRENCY, OURS, STARTED_AGAIN_AFTER, WORKERS
from storm.processes import STOPPED, state
from storm.stage import DidNotFire, Stage, until
from tasks.context import LEASE

PAST_THE_LEASE = 2.0
SKEW = 600
SKEWED_FOR = 6.0
TRIES = 3
SLOW_CALLS = 8


async def kill_worker(stage: Stage, draw: int) -> str:
    """Kill a worker with what it is at."""
    stage.interrupted += CONCURRENCY
    return await _kill(stage, WORKERS[draw % 2])


async def kill_beat(stage: Stage, draw: int) -> str:
    """Kill a beat: the one that holds the lock, or the one that waits for it."""
    return await _kill(stage, BEATS[draw % 2])


async def kill_web(stage: Stage, draw: int) -> str:
    """Kill web, with webhooks and sign-ins under way."""
    return await _kill(stage, "web")


async def _kill(stage: Stage, name: str) -> str:
    parts = stage.parts
    before = parts.pid(name)
    if not before:
        raise DidNotFire(f"{name} did not run")
    await parts.end(name, by=signal.SIGKILL)

    async def gone() -> bool:
        return state(before) in ("", "Z")

    if not await until(gone, seconds=5):
        raise DidNotFire(f"{name} lives on as {before}")
    task = asyncio.create_task(_start_again(stage, name))
    _starting.add(task)
    task.add_done_callback(_starting.discard)
    return f"{name} {before} was killed"


_starting: set[asyncio.Task[None]] = set()


async def _start_again(stage: Stage, name: str) -> None:
    await asyncio.sleep(STARTED_AGAIN_AFTER)
    await stage.parts.start(name)


async def all_started() -> None:
    """Wait until whoever was killed is there again."""
    await asyncio.gather(*_starting)


async def pause_worker(stage: Stage, draw: int) -> str:
    """Pause a worker past the leases of the rows that it holds, and let it go on: a zombie, which may write nothing."""
    for attempt in range(TRIES):
        name = WORKERS[(draw + attempt) % 2]
        pid = stage.parts.pid(name)
        stage.interrupted += CONCURRENCY
        slow = {"path": "/v3/grants*", "method": "GET", "delay_ms": 1_500, "count": SLOW_CALLS, "name": "slow"}
        await stage.nylas.control("POST", "faults", slow)  # so that it holds rows when it is stopped
        hints = [asyncio.create_task(stage.hint()) for _ in range(SLOW_CALLS)]
        await asyncio.sleep(0.8)
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            held = 0
            while time.monotonic() < began + LEASE.total_seconds() + PAST_THE_LEASE:
                held = max(held, await _outlived(stage))
                await asyncio.sleep(0.05)
            was = state(pid)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.gather(*hints)
        await stage.nylas.control("DELETE", "faults")
        if was != STOPPED:
            raise DidNotFire(f"{name} was {was!r}, not stopped")
        if held:
            return f"{name} {pid} was stopped for {time.monotonic() - began:.0f} s, with {held} rows"
    raise DidNotFire("no worker that was stopped held a row whose lease ran out")


async def _outlived(stage: Stage) -> int:
    """How many rows are held under a lease that has run out."""
    outlived = select(func.count()).where(
        col(Event.claim_token).is_not(None), col(Event.lease_until) < datetime.now(UTC)
    )
    async with stage.database.reading() as session:
        return (await session.execute(outlived)).scalar_one()


async def roll(stage: Stage, draw: int) -> str:
    """End and start again all of our parts by SIGTERM, one after the other, as for a release."""
    parts, codes = stage.parts, dict[str, int | None]()
    for name in OURS:
        await parts.end(name)
        codes[name] = parts.children[name].ended
        await parts.start(name)
    if set(codes.values()) != {0}:
        raise DidNotFire(f"not all ended by themselves: {codes}")
    return "all ended on SIGTERM: " + ", ".join(f"{name} with {code}" for name, code in codes.items())


async def skew_worker(stage: Stage, draw: int) -> str:
    """Let one worker run for a while with a clock that is ten minutes off, ahead or behind."""
    name, seconds = WORKERS[draw % 2], SKEW if draw % 4 < 2 else -SKEW
    told = {"STORM_SKEW_SECONDS": str(seconds)}
    before = stage.parts.said(name, "storm.skewed")
    async with stage.parts.run_by("storm.skewed", name, environ=told):
        await asyncio.sleep(SKEWED_FOR)
    if stage.parts.said(name, "storm.skewed") == before:
        raise DidNotFire(f"{name} went by the right clock")
    return f"{name} was {seconds:+d} s off for {SKEWED_FOR:.0f} s"
