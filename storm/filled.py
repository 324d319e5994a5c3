"""A part whose database is full: `evergrant` as it is, but SQLite may take no page more than it has."""

import sqlite3
import sys
from typing import Any

opens = sqlite3.connect


def full(*place: Any, **options: Any) -> sqlite3.Connection:
    """Open a database that may not grow: a limit below its size is its size (https://sqlite.org/pragma.html)."""
    connection: sqlite3.Connection = opens(*place, **options)
    connection.execute("PRAGMA max_page_count = 1")
    return connection


if __name__ == "__main__":
    vars(sqlite3)["connect"] = full
    sys.stderr.write("storm.filled\n")
    from ingress.cli import main

    main()
