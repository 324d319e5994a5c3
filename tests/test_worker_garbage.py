"""What only holds itself is let go of, also where so little happens that Python itself would not look for it."""

import asyncio
import gc
import socket
import weakref

from worker.garbage import collect_for_ever


class Replaced:
    """A connection that holds itself, as one does whose callbacks are its own methods."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.myself = self

    def __del__(self) -> None:
        self.ours.close()


async def test_a_socket_that_nobody_reaches_any_more_is_closed_by_the_next_look() -> None:
    gc.disable()
    replaced = Replaced()
    theirs, dead = replaced.theirs, weakref.ref(replaced)
    looking = asyncio.create_task(collect_for_ever(every=0.01))
    try:
        await asyncio.sleep(0.05)
        assert dead() is replaced
        del replaced
        theirs.settimeout(10)
        assert await asyncio.to_thread(theirs.recv, 1) == b""
        assert dead() is None
    finally:
        looking.cancel()
        gc.enable()
        theirs.close()
