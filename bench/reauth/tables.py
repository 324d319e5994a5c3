"""The databases of the course: a clean copy of one for each run, and what stands in it afterwards."""

import time
from collections.abc import Callable

import psycopg

from bench.servers import email_of, grant_id_of

SEEDED, RUN = "seeded", "run"
LOOK_EVERY = 0.02


class NotDone(Exception):
    """Not every row said in time that its grant was renewed."""


class Tables:
    """One PostgreSQL, with a database of grants that is copied for each run."""

    def __init__(self, url: str) -> None:
        self._server = url.rpartition("/")[0]
        self.seeded, self.run = f"{self._server}/{SEEDED}", f"{self._server}/{RUN}"
        self._do("postgres", f"CREATE DATABASE {SEEDED}")

    def fill_for_peers(self, grants: int) -> None:
        """Give the peers their table."""
        with psycopg.connect(self.seeded, autocommit=True) as connection:
            connection.execute("CREATE TABLE peer_grant (id text PRIMARY KEY, email text, status text)")
            with connection.cursor().copy("COPY peer_grant FROM STDIN") as rows:
                for number in range(grants):
                    rows.write_row((grant_id_of(number), email_of(number), "invalid"))
            connection.execute("VACUUM ANALYZE")

    def renew(self, grants: int) -> None:
        """Copy it anew, with so many grants for peers.

        The server writes down all that it still has to, so that no run pays for another one.
        """
        self._do("postgres", f"DROP DATABASE IF EXISTS {RUN} WITH (FORCE)")
        self._do("postgres", f"CREATE DATABASE {RUN} TEMPLATE {SEEDED} STRATEGY FILE_COPY")
        with psycopg.connect(self.run, autocommit=True) as connection:
            connection.execute("DELETE FROM peer_grant WHERE id >= %s", [grant_id_of(grants)])
            connection.execute("VACUUM ANALYZE peer_grant")
        self._do("postgres", "CHECKPOINT")

    def wait_for(
        self, question: str, number: int, *, seconds: float, going: Callable[[], None], database: str = RUN
    ) -> float:
        """Wait until the question, which counts, is answered by this number; return the moment (`time.monotonic`).

        `going` raises when there is nothing more to wait for.
        """
        deadline = time.monotonic() + seconds
        with psycopg.connect(f"{self._server}/{database}", autocommit=True) as connection:
            while True:
                row = connection.execute(question.encode()).fetchone()
                now = time.monotonic()
                if row and row[0] == number:
                    return now
                if now > deadline:
                    raise NotDone(f"after {seconds:g} s {row and row[0]} instead of {number}: {question}")
                going()
                time.sleep(LOOK_EVERY)

    def _do(self, database: str, statement: str) -> None:
        with psycopg.connect(f"{self._server}/{database}", autocommit=True) as connection:
            connection.execute(statement.encode())
