"""What is measured: percentiles of times, and the CPU that a part's processes have used."""

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SESSION, USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM = 3, 11, 12, 13, 14  # of /proc/PID/stat, counted behind the name


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that so many percent do not pass (nearest rank)."""
    rank = max(1, ceil(len(sorted_values) * percent / 100))
    return sorted_values[rank - 1]


def cpu_seconds(session: int) -> float:
    """Return how much CPU the processes of a session have used, with those of their children that have ended."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text().rpartition(") ")[2].split()
        except OSError:  # it has just ended
            continue
        if int(stat[SESSION]) == session:
            ticks += sum(int(stat[at]) for at in (USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM))
    return ticks / TICKS
