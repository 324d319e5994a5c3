"""What it takes for a task that is told to end: to notice, and to finish first what may not be broken off."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


def is_cancelled() -> bool:
    """Say whether the task that asks was cancelled.

    A database driver whose connection hangs may turn the cancellation into one of its errors; a loop that outlives
    errors would go on for ever then, and whoever cancelled it would wait for it.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def to_its_end(task: "asyncio.Task[T]") -> T:
    """Wait for a task that is not broken off: who is cancelled meanwhile is so when it has ended.

    What came of it is for the task to say then; its error is taken as seen.
    """
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
