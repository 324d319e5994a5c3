"""A list from a file or from stdin, as a command takes it; what is wrong with it is told line by line."""

import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ingress.lists.reading import BadList, read_list
from ingress.secret_files import STDIN
from ingress.terminal import fail, say
from tasks.campaigns.lines import BadLine, Line

T = TypeVar("T")

PART = 1_000
"""How many lines are taken at a time: one transaction each."""


@contextmanager
def opened(path: str, columns: Mapping[str, int]) -> Iterator[Iterator[Line | BadLine]]:
    """Open a list by its path, or stdin for `-`; exits with 2 if it can't be read, or is no list as a whole."""
    name = "What came on stdin" if path == STDIN else path
    with ExitStack() as files:
        with _readable(name):
            stream = sys.stdin.buffer if path == STDIN else files.enter_context(Path(path).open("rb"))
            lines = read_list(stream, columns)
        yield _read_on(name, lines)


def _read_on(name: str, lines: Iterator[Line | BadLine]) -> Iterator[Line | BadLine]:
    with _readable(name):
        yield from lines


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except BadList as error:
        fail(f"{name} {error}", code=2)
    except OSError as error:
        fail(f"{name} can't be read: {error.strerror or type(error).__name__}", code=2)


def warn_if_others_can_read(path: str) -> None:
    """Say so if a file that holds secrets can be read by others on this machine."""
    if path == STDIN or not Path(path).is_file():
        return
    if Path(path).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        say(f"{path} holds secrets, and others on this machine can read it: chmod 600, and remove it when it is done.")


def in_parts(lines: Iterable[T]) -> Iterator[list[T]]:
    """Take so many lines at a time as go into one transaction."""
    left = iter(lines)
    while part := list(islice(left, PART)):
        yield part


def tell_of(bad: Iterable[BadLine]) -> int:
    """Say what is wrong with each bad line (stderr); return how many there are."""
    count = 0
    for line in bad:
        say(f"line {line.number}: {line.reason}")
        count += 1
    return count
