"""A server that stands still: all its processes are stopped, so that connections stay open and say nothing."""

import asyncio
import signal

from storm.processes import STOPPED, state, tell_all
from storm.stage import DidNotFire


async def stand_still(leash: int, seconds: float) -> int:
    """Stop what a leash holds, and let it go on; return how many processes that were. Raises DidNotFire."""
    reached = tell_all(leash, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
        states = {state(pid) for pid in reached}
    finally:
        tell_all(leash, signal.SIGCONT)
    if states != {STOPPED}:
        raise DidNotFire(f"its processes were {states}")
    return len(reached)
