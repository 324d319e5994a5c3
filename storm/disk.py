"""A look at the disk beside a storm: how long a small write of its own takes until it is durable."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from storm.invariants import quantile
from storm.stretches import Times

EVERY = 0.05
BLOCK = b"\x5a" * 8192
"""As much as a page of PostgreSQL, or two of SQLite."""

STANDS_STILL = 0.02
"""Seconds from which on such a write had to wait; it usually takes less than one thousandth."""


@contextmanager
def watched(folder: Path) -> Iterator[Times]:
    """Write to a file in this folder twenty times a second until it is over; what comes of it fills the list."""
    looks: Times = []
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(folder / "disk.txt", looks, over), name="disk", daemon=True)
    watcher.start()
    try:
        yield looks
    finally:
        over.set()
        watcher.join()


def _watch(path: Path, looks: Times, over: threading.Event) -> None:
    with path.open("wb", buffering=0) as file:
        while not over.wait(EVERY):
            file.seek(0)
            began = time.monotonic()
            file.write(BLOCK)
            os.fdatasync(file.fileno())
            looks.append((began, time.monotonic() - began))


def stalls(looks: Times) -> list[tuple[float, float]]:
    """The stretches in which the disk stood still."""
    return [(began, began + took) for began, took in list(looks) if took > STANDS_STILL]


def said(took: Sequence[float]) -> str:
    """Tell in milliseconds how long writes took."""
    if not took:
        return "not looked at"
    shares = (f"{quantile(took, share) * 1_000:.1f}" for share in (0.5, 0.99))
    return f"p50 {' / p99 '.join(shares)} / longest {max(took) * 1_000:.0f} ms"
