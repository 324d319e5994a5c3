"""A sender: brings signed webhooks at an even pace over connections that are kept, and again until they are taken."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import uvloop

from bench.intake.bodies import request
from bench.intake.loader import whole
from storm.stretches import Times

TICK = 0.002
AGAIN_AFTER = 1.0
COMES_AGAIN_FOR = 120.0
GOOD = 200


class Sender:
    """Has so many connections, and keeps what came of each webhook."""

    def __init__(self, port: int) -> None:
        """Nothing is connected yet."""
        self._port = port
        self._idle: deque[Line] = deque()
        self._waiting: deque[Parcel] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.taken = self._all = 0
        self._all_taken = asyncio.Event()
        self.refused: Counter[str] = Counter()
        self.answers: Times = []
        """Of the webhooks that got 200, from the moment each was on its way."""
        self.late: list[float] = []

    async def send(self, requests: Sequence[bytes], *, seconds: float, connections: int) -> None:
        """Send all within so many seconds; return when each was taken, or nothing helps any more."""
        self._all = len(requests)
        for _ in range(connections):
            await self._connect()
        began = time.monotonic()
        sent = 0
        while sent < len(requests):
            due = began + sent * seconds / len(requests)
            await asyncio.sleep(max(due - time.monotonic(), TICK))
            now = time.monotonic()
            self.late.append(max(0.0, now - max(due, began)))
            upto = min(len(requests), int((now - began) / seconds * len(requests)) + 1)
            for one in requests[sent:upto]:
                self.bring(Parcel(one, now))
            sent = max(sent, upto)
        with suppress(TimeoutError):
            async with asyncio.timeout(COMES_AGAIN_FOR):
                await self._all_taken.wait()

    def bring(self, parcel: "Parcel") -> None:
        """Bring one over a connection that is free, or the next that will be."""
        if self._idle:
            self._idle.popleft().carry(parcel)
        else:
            self._waiting.append(parcel)

    def free(self, line: "Line") -> None:
        """Let a connection carry the next."""
        if self._waiting:
            line.carry(self._waiting.popleft())
        else:
            self._idle.append(line)

    def answered(self, parcel: "Parcel", status: int) -> None:
        """Note an answer; what was not taken comes again, and its time is not counted."""
        if status == GOOD:
            self.taken += 1
            self.answers.append((parcel.at, time.monotonic() - parcel.at))
            if self.taken == self._all:
                self._all_taken.set()
            return
        self.refused[str(status) if status else "no answer"] += 1
        again = Parcel(parcel.request, time.monotonic() + AGAIN_AFTER)
        asyncio.get_running_loop().call_later(AGAIN_AFTER, self.bring, again)

    def lost(self, line: "Line") -> None:
        """Open another connection for one that is lost."""
        if line in self._idle:
            self._idle.remove(line)
        task = asyncio.create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        while True:
            try:
                await asyncio.get_running_loop().create_connection(lambda: Line(self), "127.0.0.1", self._port)
                return
            except OSError:
                await asyncio.sleep(AGAIN_AFTER)


class Parcel:
    """A request, and since when it is on its way: waiting for a connection counts."""

    __slots__ = ("at", "request")

    def __init__(self, request: bytes, at: float) -> None:
        """It is on its way from `at` on."""
        self.request, self.at = request, at


class Line(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, sender: Sender) -> None:
        """Carry what the sender brings."""
        self._sender, self._kept = sender, b""
        self._parcel: Parcel | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be free."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has no base class in common with asyncio's
        self._sender.free(self)

    def carry(self, parcel: Parcel) -> None:
        """Send a request."""
        self._parcel = parcel
        self._transport.write(parcel.request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, if it is whole."""
        self._kept += data
        status = whole(self._kept)
        if status is None or self._parcel is None:
            return
        parcel, self._parcel, self._kept = self._parcel, None, b""
        self._sender.answered(parcel, status)
        self._sender.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """What was under way got no answer."""
        if self._parcel:
            self._sender.answered(self._parcel, 0)
        self._sender.lost(self)


def notification(grant_id: str, application_id: str, number: str, moment: int) -> bytes:
    """What Nylas tells of a grant that has expired."""
    about = {
        "code": 25009,
        "grant_id": grant_id,
        "integration_id": "f09c3a6e-7d51-4b28-a4f9-8e6b2d10c573",
        "provider": "google",
        "grant_updated_at": moment,
    }
    event = {
        "specversion": "1.0",
        "type": "grant.expired",
        "source": "/nylas/system",
        "id": f"mass-expiry-{number}",
        "time": moment,
        "webhook_delivery_attempt": 1,
        "data": {"application_id": application_id, "object": about},
    }
    return json.dumps(event).encode()


def main() -> None:
    """Make all requests, say `ready`, begin when a line comes on stdin, and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grants", type=Path, help="A file with the id of a grant on each line.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--application", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=64)
    told = parser.parse_args()
    secret, moment = os.environ["STORM_SECRET"], int(time.time())
    requests = [
        request(notification(grant_id, told.application, grant_id, moment), secret)
        for grant_id in told.grants.read_text().split()
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()

    async def send() -> Sender:
        sender = Sender(told.port)
        await sender.send(requests, seconds=told.seconds, connections=told.connections)
        return sender

    sender = uvloop.run(send())
    sys.stdout.write(
        json.dumps(
            {
                "taken": sender.taken,
                "refused": sender.refused,
                "answers": [(round(at, 4), round(took, 5)) for at, took in sender.answers],
                "late": [round(each, 5) for each in sender.late],
            }
        )
    )


if __name__ == "__main__":
    main()
