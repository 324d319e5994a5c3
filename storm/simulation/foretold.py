"""Chance and time from outside: in here all that the product and the simulator draw is foretold by a seed."""

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

import structlog

from ingress import departure, sign_in
from models import claims, columns, sealing, sqlite
from nylas_api import pkce
from simulator import calls, clock
from tasks import claiming

SHORT = 0.04
"""Seconds for which a page waits for the worker, who is not at work then."""


class Foretold:
    """What is drawn, in the order in which it is drawn."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.begin_anew()

    def begin_anew(self) -> None:
        """Draw the same again."""
        self.chance = Random(0)
        self._ids = 0

    def bytes(self, number: int = 32) -> bytes:
        """Some bytes."""
        return self.chance.randbytes(number)

    def token(self, number: int = 32) -> str:
        """A token of as many characters as the real one has."""
        return self.chance.randbytes(number).hex()[: -(-number * 4 // 3)]

    def uuid4(self) -> UUID:
        """An id of version 4."""
        return UUID(bytes=self.bytes(16), version=4)

    def uuid7(self) -> UUID:
        """An id of version 7: milliseconds, and the number of the id, so that they sort as they were made."""
        self._ids += 1
        milliseconds = int(self._now() * 1000)
        return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | self._ids)

    def number(self) -> int:
        """What SQLite's random() says."""
        return self.chance.getrandbits(62)


@contextmanager
def foretold(drawn: Foretold, *, connect: Callable[..., Any], now: Callable[[], float]) -> Iterator[None]:
    """Let nothing be drawn and no time be read but here; nothing is logged, and SQLite is connected to as is said."""
    kept, silent = structlog.get_config(), structlog.make_filtering_bound_logger(logging.CRITICAL)
    time, tokens = (
        SimpleNamespace(time=now),
        SimpleNamespace(token_urlsafe=drawn.token, compare_digest=secrets.compare_digest),
    )
    instead: list[tuple[object, str, object]] = [
        (columns, "uuid7", drawn.uuid7),
        (claims, "uuid4", drawn.uuid4),
        (claiming, "uuid4", drawn.uuid4),
        (sealing, "os", SimpleNamespace(urandom=drawn.bytes)),
        (departure, "secrets", tokens),
        (pkce, "secrets", tokens),
        (sign_in, "WAITS_FOR_RESULT", SHORT),
        (clock, "time", time),
        (calls, "time", time),
        (sqlite, "connect", connect),
    ]
    with ExitStack() as stack:
        for where, name, what in instead:
            stack.enter_context(patch.object(where, name, what))
        structlog.configure(wrapper_class=silent, cache_logger_on_first_use=False)
        stack.callback(structlog.configure, **kept)
        yield


def is_foretold() -> bool:
    """Whether sets of texts have the same order in each process: it needs to be asked for before Python starts."""
    return os.environ.get("PYTHONHASHSEED") == "0"
