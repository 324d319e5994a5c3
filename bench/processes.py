"""What a contestant's own processes spend: CPU time and memory, read from /proc."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(*pids: int) -> Iterator[int]:
    """These processes and all that descend from them, as far as they run now."""
    for pid in pids:
        yield pid
        for task in _read(f"/proc/{pid}/task/*/children"):
            yield from family(*(int(child) for child in task.split()))


def cpu_seconds(*pids: int) -> float:
    """The CPU time that these processes, their descendants and those that have ended among them have used so far."""
    return sum(map(_own_cpu_seconds, family(*pids)))


def peak_memory_mb(*pids: int) -> float:
    """The most memory that any one of these processes and their descendants has had resident."""
    return max(map(_peak_kb, family(*pids)), default=0) / 1_024


def start(command: list[str], *, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a process that is spoken to by lines, and that ends when its stdin does."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True)


def _own_cpu_seconds(pid: int) -> float:
    for stat in _read(f"/proc/{pid}/stat"):
        after_name = stat.rpartition(")")[2].split()
        return sum(int(ticks) for ticks in after_name[11:15]) / TICKS  # utime, stime, and those of reaped children
    return 0.0


def _peak_kb(pid: int) -> int:
    for status in _read(f"/proc/{pid}/status"):
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def _read(pattern: str) -> Iterator[str]:
    """The text of each file; of none whose process has ended meanwhile."""
    for path in Path("/").glob(pattern.lstrip("/")):
        try:
            yield path.read_text()
        except OSError:
            continue
