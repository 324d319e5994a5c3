"""What the storm reads of processes, while some of them end."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from storm.processes import family, memory_mb, open_files, state

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc, which only Linux has")

LOOKS = 3_000
SHORT_LIVES = """
import os, threading

def bear():
    while True:
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)

for _ in range(3):
    threading.Thread(target=bear).start()
"""


@pytest.fixture
def parent(python: str) -> Iterator[int]:
    """A process whose children are hardly born when they end."""
    with subprocess.Popen([python, "-W", "ignore", "-c", SHORT_LIVES]) as process:
        yield process.pid
        process.kill()


def test_a_child_that_ends_while_its_family_is_read_is_left_out(parent: int) -> None:
    seen: set[int] = set()
    for _ in range(LOOKS):
        [itself, *children] = family(parent)
        assert itself == parent
        seen.update(children)

    assert len(seen) > 1


def test_of_a_process_that_is_gone_there_is_nothing_to_read(python: str) -> None:
    process = subprocess.Popen([python, "-c", ""])
    process.wait()

    assert list(family(process.pid)) == [process.pid]
    assert (state(process.pid), memory_mb(process.pid), open_files(process.pid)) == ("", 0.0, 0)
