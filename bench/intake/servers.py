"""The contestants' servers: how each is started on a database, asked for its rows, and ended."""

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.events.databases import Postgres
from bench.events.installation import WEBHOOK_SECRET, Installation
from ingress.children import Child, accepts, free_port

PEERS = Path(__file__).with_name("peers")
TEMPLATE = "evergrant_template"


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that listens: its port, and the session that its processes are in."""

    port: int
    session: int


class Server(Protocol):
    """What a course needs of a server."""

    keeps_rows: bool

    def serving(self) -> AbstractContextManager[Serving]:
        """Serve, on no rows."""

    def rows(self) -> int:
        """Count what it has stored."""


class Evergrant:
    """The web front as it is shipped, on PostgreSQL."""

    keeps_rows = True

    def __init__(self, there: Installation, postgres: Postgres) -> None:
        """Prepare a database to copy."""
        self._there, self._postgres = there, postgres
        there.command("migrate", database_url=postgres.fresh(TEMPLATE))

    @contextmanager
    def serving(self) -> Iterator[Serving]:
        """Serve, on a copy of the migrated database."""
        with _web(self._there, self._postgres.fresh("evergrant", template=TEMPLATE)) as serving:
            yield serving

    def rows(self) -> int:
        """Count the events."""
        return self._postgres.count("evergrant", "SELECT count(*) FROM event")


class EvergrantOnSqlite:
    """The web front as it is shipped, on SQLite."""

    keeps_rows = True

    def __init__(self, there: Installation) -> None:
        """Prepare a file to copy."""
        self._there = there
        self._template, self._file = there.folder / "template.db", there.folder / "evergrant.db"
        there.command("migrate", database_url=f"sqlite:///{self._template}")

    @contextmanager
    def serving(self) -> Iterator[Serving]:
        """Serve, on a copy of the migrated file."""
        for kept in self._there.folder.glob("evergrant.db*"):
            kept.unlink()
        shutil.copyfile(self._template, self._file)
        with _web(self._there, f"sqlite:///{self._file}") as serving:
            yield serving

    def rows(self) -> int:
        """Count the events, once those in the spool are among them: they were answered a moment before."""
        while _count(self._file.with_name(f"{self._file.name}-spool"), "SELECT count(*) FROM spool"):
            time.sleep(0.05)
        return _count(self._file, "SELECT count(*) FROM event")


def _count(file: Path, statement: str) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return int(connection.execute(statement).fetchone()[0])


class Peer:
    """An application of the folder `peers`, in one process of uvicorn."""

    def __init__(self, name: str, folder: Path, postgres: Postgres, *, keeps_rows: bool = True) -> None:
        """`name` is that of its module."""
        self._name, self._folder, self._postgres = name, folder, postgres
        self.keeps_rows = keeps_rows

    @contextmanager
    def serving(self) -> Iterator[Serving]:
        """Serve, on an empty database; uvloop and httptools are the quickest that uvicorn has."""
        port = free_port()
        environ = self._environ(self._postgres.fresh("peer"))
        how = ("--app-dir", str(PEERS), "--loop", "uvloop", "--http", "httptools", "--port", str(port))
        quiet = ("--no-access-log", "--log-level", "warning")
        command = [sys.executable, "-m", "uvicorn", f"{self._name}:app", *how, *quiet]
        child = Child(self._name, command, log=self._folder / f"{self._name}.log", environ=environ)
        try:
            child.wait_until(lambda: accepts(port), seconds=30)
            yield Serving(port, child.process.pid)
        finally:
            child.stop()

    def rows(self) -> int:
        """Count the events."""
        return self._postgres.count("peer", "SELECT count(*) FROM webhook_event") if self.keeps_rows else 0

    def _environ(self, database_url: str) -> Mapping[str, str]:
        return {**os.environ, "BENCH_DATABASE_URL": database_url, "BENCH_SECRET": WEBHOOK_SECRET}


@contextmanager
def _web(there: Installation, database_url: str) -> Iterator[Serving]:
    there.start_web(database_url)
    try:
        yield Serving(there.web_port, there.children["web"].process.pid)
    finally:
        there.end("web")
