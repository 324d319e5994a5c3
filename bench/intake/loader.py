"""The load: plays prepared requests over connections that are kept, and records when each answer came."""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop

from bench.intake.bodies import read

END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Answers:
    """What has come back from all connections so far."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        """Take from `requests`, but send none after `until`, which is set when it begins."""
        self._requests, self.until = requests, 0.0
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.last = 0.0

    def next(self, now: float) -> bytes | None:
        """Return the next request, or None when it is over."""
        return next(self._requests, None) if now < self.until else None

    def take(self, status: int, sent: float, now: float) -> None:
        """Note an answer."""
        self.statuses[status] += 1
        self.seconds.append(now - sent)
        self.last = now


class Connection(asyncio.Protocol):
    """One connection: one request at a time, the next as soon as the answer is whole."""

    def __init__(self, answers: Answers) -> None:
        """Play from what all connections share."""
        self._answers = answers
        self._kept = b""
        self._sent = 0.0
        self._awaits = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the server."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has no base class in common with asyncio's

    def data_received(self, data: bytes) -> None:
        """Take an answer, if it is whole, and send the next request."""
        self._kept += data
        status = whole(self._kept)
        if status is None:
            return
        self._kept = b""
        self._awaits = False
        self._answers.take(status, self._sent, time.perf_counter())
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; an answer that did not come any more is an error, whose status is 0."""
        if self._awaits:
            self._answers.take(0, self._sent, time.perf_counter())
        if not self.done.done():
            self.done.set_result(None)

    def send(self) -> None:
        """Send the next request; close when there is none."""
        self._sent = time.perf_counter()
        request = self._answers.next(self._sent)
        if request is None:
            self._transport.close()
            return
        self._awaits = True
        self._transport.write(request)


def whole(kept: bytes) -> int | None:
    """Return the status of an answer that is here to its last byte, else None. The answer must tell its length."""
    end = kept.find(END)
    if end < 0:
        return None
    head = kept[:end].lower()
    at = head.find(LENGTH)
    if at < 0:
        raise ValueError(f"an answer without a length: {head!r}")
    length = int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0])
    return int(kept[9:12]) if len(kept) >= end + len(END) + length else None


async def play(file: Path, *, port: int, connections: int, seconds: float) -> dict[str, object]:
    """Play a file for so many seconds, or to its end; return the statuses, and all times in milliseconds."""
    requests = list(read(file))
    loop = asyncio.get_running_loop()
    answers = Answers(iter(requests))
    opened = [
        (await loop.create_connection(lambda: Connection(answers), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    cpu, began = time.process_time(), time.perf_counter()
    answers.until = began + seconds
    for connection in opened:
        connection.send()
    await asyncio.gather(*(connection.done for connection in opened))
    if not answers.seconds:
        raise ValueError("nothing was answered, since nothing was sent")
    return {
        "seconds": answers.last - began,
        "statuses": dict(answers.statuses),
        "milliseconds": sorted(round(each * 1000, 3) for each in answers.seconds),
        "cpu_seconds": time.process_time() - cpu,
    }


def main() -> None:
    """Play, and write down what came of it as JSON: in a file, as a pipe lost its end at times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("into", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    told = parser.parse_args()
    played = uvloop.run(play(told.file, port=told.port, connections=told.connections, seconds=told.seconds))
    told.into.write_text(json.dumps(played))


if __name__ == "__main__":
    main()
