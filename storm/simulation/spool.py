"""The spool without its thread: each transaction of it is done at once, and stands between two points."""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from models.spool import Spool
from storm.simulation.process import passes

T = TypeVar("T")


class SimulatedSpool(Spool):
    """The product's own, and its file. All web fronts of a world have this one, one after the other."""

    def __init__(self, database: Path) -> None:
        super().__init__(database)
        self._connection = self._opened()
        self._connection.execute("PRAGMA synchronous=OFF")

    async def _do(self, work: Callable[[Connection], T]) -> T:
        await passes("before the spool", may_stop=False)
        done = self._in_transaction(work)
        await passes("after the spool", may_stop=False)
        return done

    def empty(self) -> None:
        """Begin with a run."""
        self._in_transaction(lambda file: file.execute("DELETE FROM spool"))

    def count(self) -> int:
        """How much is in it."""
        return int(self._in_transaction(lambda file: file.execute("SELECT count(*) FROM spool").fetchone()[0]))

    def shut(self) -> None:
        """Close the file."""
        self._close()
