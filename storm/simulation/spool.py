"""The spool without its thread: each transaction of it is done at once, and stands between two points."""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from models.spool import Spool
from storm.simulation.process import current

T = TypeVar("T")


class SimulatedSpool(Spool):
    """The product's own, and its file. It is away with the process that has it: see `Web`."""

    def __init__(self, database: Path) -> None:
        super().__init__(database)
        self._opened_now = self._opened()
        self._opened_now.execute("PRAGMA synchronous=OFF")

    async def _do(self, work: Callable[[Connection], T]) -> T:
        await _passes("before the spool")
        with self._opened_now:
            done = work(self._opened_now)
        await _passes("after the spool")
        return done

    def empty(self) -> None:
        """Begin with a run."""
        with self._opened_now:
            self._opened_now.execute("DELETE FROM spool")

    def count(self) -> int:
        """How much is in it."""
        return int(self._opened_now.execute("SELECT count(*) FROM spool").fetchone()[0])

    def shut(self) -> None:
        """Close the file."""
        self._opened_now.close()


async def _passes(point: str) -> None:
    if process := current.get():
        await process.passes(point, may_stop=False)
