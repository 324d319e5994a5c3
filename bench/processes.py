"""What a contestant's own processes spend: CPU time and memory, read from /proc."""

import os
import subprocess
from itertools import chain

from storm.processes import family, peak_mb, texts

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(*pids: int) -> float:
    """The CPU time that these processes, their descendants and those that have ended among them have used so far."""
    return sum(map(_own_cpu_seconds, chain.from_iterable(map(family, pids))))


def peak_memory_mb(*pids: int) -> float:
    """The most memory that any one of these processes and their descendants has had resident."""
    return max(map(peak_mb, chain.from_iterable(map(family, pids))), default=0.0)


def start(command: list[str], *, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a process that is spoken to by lines, and that ends when its stdin does."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True)


def _own_cpu_seconds(pid: int) -> float:
    for stat in texts(f"/proc/{pid}/stat"):
        after_name = stat.rpartition(")")[2].split()
        return sum(int(ticks) for ticks in after_name[11:15]) / TICKS  # utime, stime, and those of reaped children
    return 0.0
