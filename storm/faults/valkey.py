"""Faults of Valkey: wiped, restarted with nothing, paused, its clients cut off, stopped, and full."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from storm.faults.standing_still import stand_still
from storm.parts import CONCURRENCY, WORKERS
from storm.stage import DidNotFire, Stage, until

PAUSED, DOWN, STOPPED_FOR, FULL_FOR = 3.0, 1.5, 4.0, 3.0


@asynccontextmanager
async def _valkey(stage: Stage) -> AsyncIterator[Redis]:
    """Our Valkey and no other: it must be the very process that we started."""
    client = Redis.from_url(stage.parts.redis_url, socket_timeout=10, socket_connect_timeout=2)
    try:
        if int((await client.info("server"))["process_id"]) != stage.parts.pid("valkey"):
            raise DidNotFire("what listens on Valkey's port is not the Valkey that we started")
        yield client
    finally:
        with suppress(RedisError, OSError):
            await client.aclose()


@asynccontextmanager
async def _away(stage: Stage) -> AsyncIterator[None]:
    """Note for how long there is no Valkey to speak to."""
    began = time.monotonic()
    try:
        yield
    finally:
        stage.without_valkey.append((began, time.monotonic()))


def _breaks_off(stage: Stage) -> None:
    """Note that a worker breaks off what is under way, as Celery has it where the connection to the broker is lost."""
    stage.interrupted += len(WORKERS) * CONCURRENCY


async def flush(stage: Stage, draw: int) -> str:
    """Take everything from it: queues, messages that are held, budgets, locks."""
    async with _valkey(stage) as valkey:
        before = await valkey.dbsize()
        await valkey.flushall()
    if not before:
        raise DidNotFire("there was nothing in it")
    return f"FLUSHALL took {before} keys"


async def restart(stage: Stage, draw: int) -> str:
    """Shut it down without saving; it comes back empty."""
    parts = stage.parts
    _breaks_off(stage)
    async with _valkey(stage) as valkey:
        before = (await valkey.info("server"))["run_id"]
        async with _away(stage):
            with suppress(RedisError, OSError):
                await valkey.shutdown(nosave=True)
            if not await until(_ended(stage, "valkey"), seconds=5):
                raise DidNotFire("it did not shut down")
            await asyncio.sleep(DOWN)
            await parts.end("valkey")  # lets go of its leash
            await parts.start("valkey")
    async with _valkey(stage) as valkey:
        if (await valkey.info("server"))["run_id"] == before:
            raise DidNotFire("it is the same one as before")
    return f"SHUTDOWN NOSAVE, away for {DOWN} s, and another run after it"


def _ended(stage: Stage, name: str) -> Callable[[], Awaitable[bool]]:
    async def ended() -> bool:
        return stage.parts.children[name].ended is not None

    return ended


async def pause(stage: Stage, draw: int) -> str:
    """Let it answer nobody for some seconds."""
    async with _valkey(stage) as valkey, _away(stage):
        await valkey.client_pause(int(PAUSED * 1_000), all=True)
        began = time.monotonic()
        await valkey.ping()
        waited = time.monotonic() - began
    if waited < PAUSED * 0.8:
        raise DidNotFire(f"it answered after {waited:.1f} s")
    return f"CLIENT PAUSE, a PING waited for {waited:.1f} s"


async def cut(stage: Stage, draw: int) -> str:
    """Cut all clients off."""
    _breaks_off(stage)
    async with _valkey(stage) as valkey:
        killed = await valkey.client_kill_filter(_type="normal", skipme=True)
    if not killed:
        raise DidNotFire("it had no clients")
    return f"CLIENT KILL cut {killed} off"


async def stop(stage: Stage, draw: int) -> str:
    """Stop its process, so that connections stay open and say nothing."""
    async with _valkey(stage), _away(stage):
        await stand_still(stage.parts.leash("valkey"), STOPPED_FOR)
    return f"it was stopped for {STOPPED_FOR} s"


async def fill(stage: Stage, draw: int) -> str:
    """Give it no memory for anything more."""
    _breaks_off(stage)
    async with _valkey(stage) as valkey:
        used = int((await valkey.info("memory"))["used_memory"])
        await valkey.config_set("maxmemory", str(used // 2))
        try:
            began, refusals = time.monotonic(), 0
            while time.monotonic() < began + FULL_FOR:
                try:
                    await valkey.set("storm", "x")
                except RedisError as error:
                    refusals += "OOM" in str(error) or "maxmemory" in str(error)
                await asyncio.sleep(0.2)
        finally:
            await valkey.config_set("maxmemory", "0")
    if not refusals:
        raise DidNotFire("it took what was written")
    return f"maxmemory {used // 2}: {refusals} writes of ours were refused"
