"""Who goes first on a machine that is busy: webhooks, then work; and among threads, each for a short turn."""

import os
import sys

NICER = 5
"""How much nicer than web those are whom nobody waits for.

With SQLite web waits for whoever writes, but a turn to write is so short that few are broken off in the middle of one:
on a busy machine webhooks took 44 ms at p99 where all were as nice, and take 27. (With longer turns it was 211.)
"""
TURN = 0.0005
"""Seconds after which a thread that computes leaves Python's lock to another that asks for it."""


def take_short_turns() -> None:
    """Let the threads of this process change ten times as often as they would.

    Each step of SQLite lets go of Python's lock, and asks for it again. Beside a thread that computes, as one of web's
    does while it loads the API, a transaction of three statements held SQLite's own lock for 51 ms in the median, and
    now for 6.
    """
    sys.setswitchinterval(TURN)


def after_web() -> None:
    """Let web go first from here on.

    To be called before what takes long to load, and before there are threads: Linux counts for each how nice it is.
    """
    if hasattr(os, "nice"):
        os.nice(NICER)
