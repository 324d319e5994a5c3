"""Whether a task was told to end, although something on the way took that for an error of its own."""

import asyncio


def is_cancelled() -> bool:
    """Say whether the task that asks was cancelled.

    A database driver whose connection hangs may turn the cancellation into one of its errors; a loop that outlives
    errors would go on for ever then, and whoever cancelled it would wait for it.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
