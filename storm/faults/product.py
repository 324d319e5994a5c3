"""Faults of the product: its endpoint is down."""

import asyncio
import signal

from storm.stage import DidNotFire, Stage

DOWN = 3.0


async def down(stage: Stage, draw: int) -> str:
    """Kill the product, and start it again after a while."""
    before = stage.parts.pid("product")
    await stage.parts.end("product", by=signal.SIGKILL)
    await asyncio.sleep(DOWN)
    await stage.parts.start("product")
    if stage.parts.pid("product") in (0, before):
        raise DidNotFire("it is the same process as before")
    return f"nobody listened for {DOWN} s"
