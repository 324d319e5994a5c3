"""The points of a process' work, seen from outside: the seams that are there already are wrapped, in it alone."""

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, event

from models.database import Database
from nylas_api import HttpClient
from tasks.notices.outbound import Answer, Outbound

WRITE = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)')
CLAIM = re.compile(r"\battempts\s*=\s*\(")
RUNG = re.compile(r"\bSET\s+rung_at\s*=\s*\S+(\s+WITH TIME ZONE)?\s+WHERE\b")
OF_ONE = re.compile(r"(/v3/grants)/.+")
WRITTEN = "storm wrote"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A point, and the how many-th time that it is passed."""

    name: str
    time: int = 1

    def __str__(self) -> str:
        """Say it as it stands in tables."""
        return self.name if self.time == 1 else f"{self.name} ({self.time})"


class Watch:
    """Writes down each point as it is passed, and dies at the one that is `fatal`: a real SIGKILL."""

    def __init__(self, passed: Path, fatal: Point | None) -> None:
        self._file = os.open(passed, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._fatal, self._times = fatal, Counter[str]()

    def passes(self, name: str) -> None:
        """Pass a point."""
        self._times[name] += 1
        point = Point(name, self._times[name])
        os.write(self._file, f"{json.dumps([point.name, point.time])}\n".encode())
        if point == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def read_points(passed: Path) -> list[Point]:
    """Read which points were passed, in their order."""
    return [Point(*json.loads(line)) for line in passed.read_text().splitlines()] if passed.exists() else []


class WatchedHttp(HttpClient):
    """The way to Nylas, with a point before each request leaves and one when its answer begins to come."""

    def __init__(self, http: HttpClient, watch: Watch) -> None:
        self._http, self._watch = http, watch

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request."""
        path = OF_ONE.sub(r"\1/{id}", request.url.path)
        what = f"{request.method} {path}"
        self._watch.passes(f"before {what}")
        response = await self._http.handle_async_request(request)
        self._watch.passes(f"after {what}")
        return response

    async def aclose(self) -> None:
        """Close the way."""
        await self._http.aclose()


class WatchedOutbound(Outbound):
    """The way to the product, with a point before and after each notice."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(allow_private=True)
        self._watch = watch

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a notice."""
        what = f"sending {json.loads(body)['type']}"
        self._watch.passes(f"before {what}")
        answer = await super().post(url, body, headers)
        self._watch.passes(f"after {what}")
        return answer


def watched_ring(ring: Callable[[str, Sequence[UUID]], None], watch: Watch) -> Callable[[str, Sequence[UUID]], None]:
    """The doorbell, with a point before and after each ring."""

    def rings(kind: str, ids: Sequence[UUID]) -> None:
        if ids:
            watch.passes(f"before ringing for {kind}")
        ring(kind, ids)
        if ids:
            watch.passes(f"after ringing for {kind}")

    return rings


def watch_database(database: Database, watch: Watch) -> None:
    """Put a point after each statement that writes, and before and after each commit of what was written.

    One that is a transaction of its own has a point before it instead.
    """
    engine = database.engine.sync_engine
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def began(connection: Connection) -> None:
        connection.info[WRITTEN] = []

    def executes(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT" and (what := written(statement)):
            watch.passes(f"before {' '.join(what)}")

    def executed(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if what := written(statement):
            connection.info.setdefault(WRITTEN, []).append(what)
            watch.passes(f"after {' '.join(what)}")

    def commits(connection: Any) -> None:
        what = in_words(connection.info.pop(WRITTEN, None) or [])
        if what:
            watch.passes(f"before COMMIT of {what}")
        commit(connection)
        if what:
            watch.passes(f"after COMMIT of {what}")

    event.listen(engine, "begin", began)
    event.listen(engine, "before_cursor_execute", executes)
    event.listen(engine, "after_cursor_execute", executed)
    dialect.do_commit = commits


def written(statement: str) -> tuple[str, str] | None:
    """What a statement does, and to which table; None if it writes nothing."""
    if not (write := WRITE.match(statement)):
        return None
    verb, table = write.groups()
    if CLAIM.search(statement):
        return "claim of", table
    return ("ring mark on" if RUNG.search(statement) else verb), table


def in_words(statements: Sequence[tuple[str, str]]) -> str:
    """Name a transaction by what was written in it: the tables, or what else it was for."""
    of_work = [" ".join(one) for one in statements if one[0].endswith((" of", " on"))]
    tables = {table for verb, table in statements if not verb.endswith((" of", " on"))}
    return ", ".join([*dict.fromkeys(of_work), *sorted(tables)])
