"""The storm looks at the disk beside all else, so that a slow answer can be told from a disk that stood still."""

import os
import threading
import time
from pathlib import Path

import pytest

from storm.disk import EVERY, said, stalls, watched


def test_small_writes_are_made_durable_again_and_again_until_it_is_over(tmp_path: Path) -> None:
    began = time.monotonic()
    with watched(tmp_path) as looks:
        while len(looks) < 4:
            time.sleep(EVERY)
    ended, seen = time.monotonic(), len(looks)

    assert [at for at, _ in looks] == sorted(at for at, _ in looks)
    assert began + EVERY <= looks[0][0]
    assert looks[-1][0] + looks[-1][1] <= ended
    assert "disk" not in {thread.name for thread in threading.enumerate()}
    time.sleep(2 * EVERY)
    assert len(looks) == seen


def test_a_write_that_the_disk_keeps_waiting_is_as_long_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, stands_still = os.fdatasync, threading.Event()

    def slow(file: int) -> None:
        stands_still.wait(0.2)
        sync(file)

    monkeypatch.setattr(os, "fdatasync", slow)
    with watched(tmp_path) as looks:
        while not looks:
            time.sleep(EVERY)

    assert looks[0][1] >= 0.2


def test_a_stall_lasts_as_long_as_the_write_that_waited() -> None:
    assert stalls([(1.0, 0.0004), (2.0, 0.5), (3.0, 0.019)]) == [(2.0, 2.5)]


def test_the_table_tells_of_the_middle_the_slowest_hundredth_and_the_longest() -> None:
    assert said([0.001] * 98 + [0.05, 0.3]) == "p50 1.0 / p99 50.0 / longest 300 ms"
    assert said([]) == "not looked at"
