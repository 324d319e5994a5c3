"""What runs under a part's leash, and how it does: pids, states, memory and open files, read from /proc."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from glob import iglob
from pathlib import Path

STOPPED = "T"


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it, as far as they run now."""
    yield pid
    for task in texts(f"/proc/{pid}/task/*/children"):
        for child in task.split():
            yield from family(int(child))


def own(leash: int) -> int | None:
    """The process that a leash holds."""
    return next((pid for pid in family(leash) if pid != leash), None)


def state(pid: int) -> str:
    """One letter, as `ps` shows it; none of a process that is gone."""
    for stat in texts(f"/proc/{pid}/stat"):
        return stat.rpartition(")")[2].split()[0]
    return ""


def tell_all(leash: int, number: signal.Signals) -> list[int]:
    """Send a signal to what a leash holds, the eldest first, but not to the leash; return whom it reached."""
    reached = []
    for pid in [pid for pid in family(leash) if pid != leash]:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            reached.append(pid)
    return reached


def memory_mb(pid: int) -> float:
    """What a process has resident now."""
    return _megabytes(pid, "VmRSS:")


def peak_mb(pid: int) -> float:
    """The most that a process has ever had resident."""
    return _megabytes(pid, "VmHWM:")


def _megabytes(pid: int, what: str) -> float:
    for status in texts(f"/proc/{pid}/status"):
        for line in status.splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1_024
    return 0.0


def open_files(pid: int) -> int:
    """How many files and sockets a process has open."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def command_line(pid: int) -> str:
    """What anybody on the machine sees of a process."""
    return "".join(texts(f"/proc/{pid}/cmdline")).replace("\0", " ")


def texts(pattern: str) -> Iterator[str]:
    """What these files of processes say, but for those whose process has ended meanwhile, even while it was listed."""
    for path in iglob(pattern):  # that of pathlib raises, before Python 3.13, when a folder is gone
        try:
            yield Path(path).read_text(errors="replace")
        except OSError:
            continue
