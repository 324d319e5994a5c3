"""A process that leaks is told from one that has filled its pools, and from one that is only busy."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack

from storm.growth import OLD, YOUNG, Growth, Life

AT_START = 1_000.0
FILES = "worker's open files"


def lived(files: Callable[[float], float], *, seconds: float = 2 * OLD) -> Growth:
    """A worker that had so many files open at each age, and always the same memory."""
    growth = Growth()
    life = growth.lives[1] = Life("worker", AT_START)
    for age in range(0, int(seconds), 2):
        life.saw((100.0, files(age)), now=AT_START + age)
    return growth


def test_one_file_every_ten_seconds_is_a_leak() -> None:
    ratios = lived(lambda age: 40 + age // 10).ratios()
    assert 1.5 < ratios[FILES] < 1.6
    assert ratios["worker's memory"] == 1


def test_pools_that_are_full_while_it_is_young_are_none() -> None:
    assert lived(lambda age: 20 if age < YOUNG / 2 else 40).ratios()[FILES] == 1


def test_what_is_open_now_and_then_is_none() -> None:
    assert lived(lambda age: 90 if age > YOUNG and age % 50 < 40 else 40).ratios()[FILES] == 1


def test_what_comes_when_it_is_old_and_stays_is_one() -> None:
    assert lived(lambda age: 40 if age < OLD else 45).ratios()[FILES] > 1.05


def test_one_that_has_done_as_little_as_its_like_is_held_against_what_that_had() -> None:
    growth = lived(lambda age: 4 if age < OLD else 8)
    growth.lives[2] = Life("worker", AT_START)
    growth.lives[2].saw((100.0, 8.0), now=AT_START)
    assert growth.ratios()[FILES] == 1


def test_what_did_not_become_old_is_not_judged() -> None:
    assert lived(lambda age: age, seconds=OLD).ratios() == {"worker's memory": None, FILES: None}


def test_a_process_is_looked_at_as_the_system_sees_it() -> None:
    growth = Growth()
    growth.look("worker-1", os.getpid(), now=AT_START)
    with ExitStack() as held:
        for _ in range(100):
            held.enter_context(tempfile.TemporaryFile())
        growth.look("worker-1", os.getpid(), now=AT_START + OLD)
        leaked = growth.ratios()
    assert leaked[FILES] > 2
    assert 0.5 < leaked["worker's memory"] < 2


def test_a_process_that_is_gone_is_not_seen() -> None:
    growth = Growth()
    growth.look("worker-1", 2**22 + 1, now=AT_START)
    assert not growth.lives
