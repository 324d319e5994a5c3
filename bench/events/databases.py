"""Databases of one PostgreSQL: made anew for each round, empty or as a copy of one that was prepared."""

import asyncio
from typing import Any

import asyncpg


class Postgres:
    """A server, by the URL of its database `postgres`."""

    def __init__(self, url: str) -> None:
        """Remember where it is."""
        self._url = url

    def url(self, name: str) -> str:
        """The URL of one of its databases."""
        return f"{self._url.rpartition('/')[0]}/{name}"

    def fresh(self, name: str, *, template: str = "template1") -> str:
        """Make a database, in the place of one that is there; return its URL.

        The server is made to write down what others have left, so that nobody pays for the contestant before.
        """
        drop, make = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}" TEMPLATE "{template}"'
        asyncio.run(self._do(self._url, drop, make, "CHECKPOINT"))
        return self.url(name)

    def count(self, name: str, question: str) -> int:
        """Ask a database how many there are of something."""
        return int(asyncio.run(self._ask(self.url(name), question)))

    async def _do(self, url: str, *statements: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _ask(self, url: str, question: str) -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()
